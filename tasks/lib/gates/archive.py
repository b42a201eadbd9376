"""A minimal image archive as `docker save` writes it, made of a few text files; no engine needed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def write(dest: Path, files: Mapping[str, str], name: str = "planted:1") -> str:
    """Writes an image with one layer that holds `files` (path to text); returns the image id, sha256:..."""
    layer = _tar({path: text.encode() for path, text in files.items()})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "slipway"}],
    }
    text = json.dumps(config).encode()
    digest = hashlib.sha256(text).hexdigest()
    manifest = [{"Config": f"{digest}.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    dest.write_bytes(_tar({f"{digest}.json": text, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}))
    return f"sha256:{digest}"


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def python_package(name: str, version: str) -> dict[str, str]:
    """The files by which scanners know an installed Python package."""
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return {f"usr/lib/python3/dist-packages/{name}-{version}.dist-info/METADATA": text}


def debian(*packages: tuple[str, str]) -> dict[str, str]:
    """The files of a Debian 12 with these packages (name, version) installed."""
    release = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n'
    return {"etc/os-release": release, "etc/debian_version": "12.8\n", **_dpkg(packages)}


def ubuntu(*packages: tuple[str, str]) -> dict[str, str]:
    """The files of an Ubuntu 22.04 with these packages (name, version) installed."""
    release = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'
    lsb = "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n"
    return {"etc/os-release": release, "etc/lsb-release": lsb, **_dpkg(packages)}


def alpine(*packages: tuple[str, str]) -> dict[str, str]:
    """The files of an Alpine 3.18 with these packages (name, version) installed."""
    entries = [f"P:{name}\nV:{version}\nA:x86_64\no:{name}\n" for name, version in packages]
    release = "ID=alpine\nVERSION_ID=3.18.0\n"
    return {"etc/os-release": release, "etc/alpine-release": "3.18.0\n", "lib/apk/db/installed": "\n".join(entries)}


def _dpkg(packages: Sequence[tuple[str, str]]) -> dict[str, str]:
    entries = [
        f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n"
        f"Maintainer: Debian\nDescription: {name}\n"
        for name, version in packages
    ]
    return {"var/lib/dpkg/status": "\n".join(entries)}
