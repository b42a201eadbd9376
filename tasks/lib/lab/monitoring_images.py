"""Images of the lab's monitoring: one program each, with the libraries that it is linked against."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from invoke.context import Context

from tasks.lib.lab import archive, images
from tasks.lib.lab.archive import Entry, Image
from tasks.lib.lab.layout import SYSTEM_PREFIX
from tasks.lib.runner import run

# The name of the image, of the program and of the file in it.
PROGRAMS = (
    "prometheus-operator",
    "prometheus-config-reloader",
    "prometheus-server",
    "alertmanager",
    "kube-state-metrics",
    "node-exporter",
    "otel-collector",
)
# Debian's Alertmanager reads its templates from there instead of having them in itself.
DATA = {"alertmanager": Path("/usr/share/prometheus/alertmanager")}
LIBRARY = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)


def prepare(c: Context, programs: Mapping[str, Path]) -> images.Archive:
    """The archive of all of them, written when a program or a library changed. programs: files by name."""
    images.folder().mkdir(parents=True, exist_ok=True)
    needs = {name: [programs[name], *libraries(c, programs[name]), *_data(name)] for name in PROGRAMS}
    identity = images.key(*(file for files in needs.values() for file in files))

    def make(place: Path) -> list[Image]:
        made = []
        for name, (program, *shared) in needs.items():
            entries = [Entry(str(file).lstrip("/"), source=file) for file in shared]
            entries.append(Entry(f"bin/{name}", source=program))
            layer = archive.layer(place / name, entries)
            made.append(Image(f"{SYSTEM_PREFIX}/{name}:{identity}", [layer], {"Entrypoint": [f"/bin/{name}"]}))
        return made

    return images.archive_of("monitoring", identity, make)


def libraries(c: Context, program: Path) -> list[Path]:
    """The loader and the shared libraries of a program, where it looks for them; none for a static one."""
    listing = run(c, ["ldd", program], step="ask for libraries", timeout=20, quiet=True, ok=(0, 1)).stdout
    return [Path(found) for found in LIBRARY.findall(listing)]


def _data(name: str) -> list[Path]:
    return sorted(DATA[name].glob("*.tmpl")) if name in DATA else []
