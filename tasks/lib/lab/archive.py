"""Image archives as `docker save` writes them, made from layers without any engine; Docker and containerd read both."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 1024 * 1024


@dataclass(frozen=True)
class Image:
    """One image of an archive: its name, the layers (tar files) from bottom to top, and its runtime configuration."""

    name: str
    layers: Sequence[Path]
    config: Mapping[str, object] = field(default_factory=dict)


def digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal text."""
    found = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def write(target: Path, images: Sequence[Image], created: str) -> dict[str, str]:
    """Writes all images into one archive, a shared layer once; created: RFC 3339. Returns image ids by name."""
    ids: dict[str, str] = {}
    digests = {layer: digest(layer) for image in images for layer in image.layers}
    manifest = []
    partial = target.with_suffix(".new")
    with tarfile.open(partial, "w") as tar:
        for layer, name in digests.items():
            tar.add(layer, f"{name}.tar", filter=_plain)
        for image in images:
            text = json.dumps(_config(image, digests, created), sort_keys=True).encode()
            name = hashlib.sha256(text).hexdigest()
            ids[image.name] = f"sha256:{name}"
            _add_bytes(tar, f"{name}.json", text)
            layers = [f"{digests[layer]}.tar" for layer in image.layers]
            manifest.append({"Config": f"{name}.json", "RepoTags": [image.name], "Layers": layers})
        _add_bytes(tar, "manifest.json", json.dumps(manifest).encode())
    partial.replace(target)
    return ids


def _config(image: Image, digests: Mapping[Path, str], created: str) -> dict[str, object]:
    return {
        "architecture": _architecture(),
        "os": "linux",
        "created": created,
        "config": dict(image.config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digests[layer]}" for layer in image.layers]},
        "history": [{"created": created, "created_by": "slipway lab"} for _ in image.layers],
    }


def _architecture() -> str:
    import platform

    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


@dataclass(frozen=True)
class Entry:
    """One thing in a layer: a file (source), a symbolic link (link) or a folder (neither)."""

    path: str
    source: Path | None = None
    link: str = ""
    mode: int = 0o755
    uid: int = 0
    text: str = ""


def layer(target: Path, entries: Sequence[Entry]) -> Path:
    """Writes a layer with these entries; the same entries give the same bytes."""
    with tarfile.open(target, "w") as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.mode, info.uid = entry.mode, entry.uid
            if entry.source is not None:
                info.size = entry.source.stat().st_size
                with entry.source.open("rb") as handle:
                    tar.addfile(info, handle)
            elif entry.text:
                info.size = len(entry.text.encode())
                tar.addfile(info, io.BytesIO(entry.text.encode()))
            else:
                info.type = tarfile.SYMTYPE if entry.link else tarfile.DIRTYPE
                info.linkname = entry.link
                tar.addfile(info)
    return target


def delta(target: Path, lower: Path, upper: Path) -> Path:
    """Writes the layer that turns the tree of one tar into that of another which has all of it and more.

    What differs only in its time of change is left out: a folder that a package manager went through has not changed.
    """
    with tarfile.open(lower) as tar:
        known = {entry.name: _identity(tar, entry) for entry in tar}
    with tarfile.open(upper) as source, tarfile.open(target, "w") as tar:
        for entry in source:
            if known.get(entry.name) == _identity(source, entry):
                continue
            data = source.extractfile(entry) if entry.isreg() or entry.islnk() else None
            if entry.islnk() and data is not None:  # a link into the lower layer cannot be unpacked
                entry.size = source.getmember(entry.linkname).size
                entry.type, entry.linkname = tarfile.REGTYPE, ""
            tar.addfile(entry, data)
    return target


def _identity(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> tuple[object, ...]:
    data = tar.extractfile(entry) if entry.isreg() else None
    content = hashlib.sha256(data.read()).hexdigest() if data else ""
    return entry.type, entry.mode, entry.uid, entry.gid, entry.size, entry.linkname, content
