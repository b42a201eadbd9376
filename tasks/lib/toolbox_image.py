"""The image that pipeline jobs run in: the programs that the pipeline names, a venv, and nothing to compile."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from invoke.context import Context

from tasks.lib import git, image, paths, terminal, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.lab import rootfs
from tasks.lib.target import Engine
from tasks.lib.tools import pins

NAME = "slipway-toolbox"
PIPELINE = ".gitlab-ci.yml"
FOLDER = "tools/toolbox"
CHECKOUT = ("inv", "front_door.py", "tasks.py", "invoke.yaml", "requirements.txt", "tasks", "tools")
NAMED = re.compile(r"tools\.install --only (\S+)")


def programs(c: Context, sha: str) -> list[str]:
    """What the jobs of the commit's pipeline install."""
    text = git.ask(c, "show", f"{sha}:{PIPELINE}", repo=paths.ROOT)
    named = {name for names in NAMED.findall(text) for name in names.split(",")}
    return sorted(named)


def reference(sha: str) -> str:
    """The image's name inside the engine."""
    return f"slipway.local/{NAME}:{sha}"


def repository(of_service: str) -> str:
    """Where it is pushed: beside the service's image."""
    return f"{of_service.rpartition('/')[0]}/{NAME}"


def build(c: Context, engine: Engine, sha: str) -> str:
    """Builds the toolbox of a commit into the engine; returns its name there. Raises Stop (4) when it cannot."""
    names = programs(c, sha)
    if not names:
        raise Stop(f"{PIPELINE} names no program to install", Code.USAGE)
    with tempfile.TemporaryDirectory(prefix="slipway-toolbox-") as place:
        folder = Path(place)
        tree = folder / "context"
        git.unpack(c, sha, tree / "checkout", *CHECKOUT)
        shutil.copy(tree / "checkout" / FOLDER / "Dockerfile", tree / "Dockerfile")
        _copy_programs(c, names, tree)
        secrets = _package_sources(c, folder)
        with terminal.step(f"Build toolbox image {sha[:12]} ({len(names)} programs)"):
            arguments = {"BASE_IMAGE": engine.builder_image, "PROGRAMS": ",".join(names)}
            image.buildx(c, engine, tree, reference(sha), arguments, git.commit(c, sha).epoch, secrets)
    return reference(sha)


def _copy_programs(c: Context, names: list[str], tree: Path) -> None:
    """What Go built here runs there too. Wheels, scripts and packages belong to a system: they are installed anew.

    A program of this machine's PATH that does not run there is passed over in the image, which then builds its own.
    """
    rows = [row for row in map(pins.pin, names) if isinstance(row, pins.GoPin)]
    found = tools.paths(c, [row.name for row in rows])
    for folder in ("cache", "bin"):
        (tree / folder).mkdir()
    for row in rows:
        if pins.target(row).exists():
            shutil.copytree(pins.home(row), tree / "cache" / row.name / pins.home(row).name)
        else:
            shutil.copy2(found[row.name], tree / "bin" / row.name)


def _package_sources(c: Context, folder: Path) -> dict[str, Path]:
    """This machine's way to a Debian mirror, as files for the build's secrets."""
    sources, conf = folder / "sources.list", folder / "apt.conf"
    sources.write_text("\n".join(rootfs.host_sources()) + "\n", encoding="utf-8")
    options = rootfs.host_options(c) if shutil.which("apt-config") else []
    lines = [*options, 'Dir::Etc::SourceList "/run/secrets/apt_sources"', 'Dir::Etc::SourceParts "-"']
    conf.write_text("".join(f"{line};\n" for line in lines), encoding="utf-8")
    return {"apt_sources": sources, "apt_conf": conf}


def push(engine: Engine, sha: str, of_service: str) -> str:
    """Pushes the toolbox under its SHA; returns name@digest, which no later push can change."""
    where = repository(of_service)
    return f"{where}@{image.push_as(engine, reference(sha), where, (sha,))}"
