"""What an attacker with write access to a registry can do to signed statements: plain calls of the registry's API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import requests

from tasks.lib.values import Release

INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
SECONDS = 20


def _url(release: Release, *parts: str) -> str:
    host, _, name = release.repository.partition("/")
    return "/".join([f"http://{host}/v2/{name}", *parts])


def _tag(digest: str) -> str:
    """Where a registry without the referrers API keeps what refers to a digest."""
    return digest.replace(":", "-")


def _get(release: Release, kind: str, name: str, accept: str) -> Any:
    answer = requests.get(_url(release, kind, name), headers={"Accept": accept}, timeout=SECONDS)
    answer.raise_for_status()
    return answer.json()


def _put(release: Release, name: str, content: bytes, kind: str) -> None:
    requests.put(
        _url(release, "manifests", name), content, headers={"Content-Type": kind}, timeout=SECONDS
    ).raise_for_status()


def _upload(release: Release, content: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    begun = requests.post(_url(release, "blobs", "uploads/"), timeout=SECONDS)
    begun.raise_for_status()
    headers = {"Content-Type": "application/octet-stream"}
    done = requests.put(begun.headers["Location"], content, params={"digest": digest}, headers=headers, timeout=SECONDS)
    done.raise_for_status()
    return digest


def attached(release: Release) -> list[dict[str, Any]]:
    """The descriptors of everything that is attached to the image."""
    found: list[dict[str, Any]] = _get(release, "manifests", _tag(release.digest), INDEX)["manifests"]
    return found


def rewrite(release: Release, change: Callable[[Any], None]) -> None:
    """Changes every bundle that is attached to the image; all digests around it are made to fit."""
    index = _get(release, "manifests", _tag(release.digest), INDEX)
    for descriptor in index["manifests"]:
        manifest = _get(release, "manifests", descriptor["digest"], MANIFEST)
        layer = manifest["layers"][0]
        bundle = _get(release, "blobs", layer["digest"], "*/*")
        change(bundle)
        content = json.dumps(bundle).encode()
        layer.update(digest=_upload(release, content), size=len(content))
        text = json.dumps(manifest).encode()
        descriptor.update(digest=f"sha256:{hashlib.sha256(text).hexdigest()}", size=len(text))
        _put(release, descriptor["digest"], text, MANIFEST)
    _put(release, _tag(release.digest), json.dumps(index).encode(), INDEX)


def copy(release: Release, digest: str) -> None:
    """Attaches what belongs to the image to another one."""
    index = _get(release, "manifests", _tag(release.digest), INDEX)
    _put(release, _tag(digest), json.dumps(index).encode(), INDEX)
