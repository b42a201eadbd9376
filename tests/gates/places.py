"""Places as the gates know them, really served: a registry with Trivy's database, and advisories dated today."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import itertools
import json
import re
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tasks.lib.gates import advisories, databases, kept, sources
from tasks.lib.settings import Environment, Gates
from tests.gates.web import WebServer

TODAY = datetime.now(timezone.utc).replace(microsecond=0)
PLANTED = re.compile(r'"name": *"(django|pyyaml|urllib3)"', re.IGNORECASE)
FEW = 300  # advisories, enough for everything that is planted and quick to look at
LAYER = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
CONFIG = "application/vnd.aquasec.trivy.config.v1+json"
# As Trivy's own database keeps them: under the source package.
FIXED = {"debian 12": "3.0.10-1~deb12u1", "ubuntu 22.04": "3.0.2-0ubuntu1.1", "alpine 3.18": "3.1.1-r3"}


def stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.cache
def _shipped() -> dict[str, str]:
    """The shipped advisories, those of packages that the gates plant first."""
    with zipfile.ZipFile(sources.SNAPSHOT) as archive:
        found = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".json")}
    return dict(sorted(found.items(), key=lambda item: not PLANTED.search(item[1])))


def advisories_of(when: datetime, dest: Path, keep: int = 10_000) -> Path:
    """The shipped advisories (at most `keep`) as a zip whose newest entry is of `when`."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(dest, "w") as new:
        for number, (name, text) in enumerate(itertools.islice(_shipped().items(), keep)):
            entry = json.loads(text)
            entry["modified"] = min(entry["modified"], stamp(when)) if number else stamp(when)
            new.writestr(zipfile.ZipInfo(name), json.dumps(entry), zipfile.ZIP_DEFLATED)
    return dest


def serve(web: WebServer, when: datetime = TODAY, keep: int = 20) -> bytes:
    """Puts advisories under the web server's URL; the bytes of the zip."""
    return advisories_of(when, web.root / "all.zip", keep).read_bytes()


def using(env: Environment, *urls: str, **more: Any) -> Environment:
    """The environment with these places of advisories."""
    return env.model_copy(update={"gates": Gates(advisories=list(urls), **more)})


def content(web: WebServer) -> bytes:
    """What a reader gets now; whole, or this raises."""
    home = sources.slot(web.url)
    found = kept.read(home)
    assert found is not None
    file = home / found.file
    assert kept.sha256(file) == found.digest
    return file.read_bytes()


def trivy_database(trivydb: Path, archive: Path, folder: Path, when: datetime = TODAY, system: bool = True) -> Path:
    """A folder as Trivy's cache has it, of `when`, with the advisories of a zip; system: and of operating systems."""
    found, _ = advisories.read(archive, archive.name)
    entries: list[dict[str, Any]] = databases.trivy_entries(found)
    if system:
        rated = {"Title": "openssl", "Severity": "HIGH"}
        entries.append({"path": ["vulnerability"], "key": "CVE-2023-2975", "value": rated})
        for bucket, fixed in FIXED.items():
            about = {"ID": bucket.partition(" ")[0], "Name": bucket, "URL": "https://example.org"}
            entries.append({"path": ["data-source"], "key": bucket, "value": about})
            entries.append({"path": [bucket, "openssl"], "key": "CVE-2023-2975", "value": {"FixedVersion": fixed}})
    folder.mkdir(parents=True)
    listed = folder / "entries.jsonl"
    listed.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    subprocess.run([trivydb, folder, listed], check=True, capture_output=True, timeout=60)
    listed.unlink()
    metadata = {"Version": 2, "NextUpdate": stamp(when), "UpdatedAt": stamp(when), "DownloadedAt": stamp(when)}
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    return folder


def packed(folder: Path) -> bytes:
    """db.tar.gz as registries have it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name in ("trivy.db", "metadata.json"):
            tar.add(folder / name, name)
    return gzip.compress(plain.getvalue(), 1)


def push(crane: Path, reference: str, layer: bytes, scratch: Path) -> None:
    """Pushes a db.tar.gz under a reference, with the media types that Trivy looks for."""
    blobs = scratch / "layout/blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def blob(content: bytes, media: str, **more: object) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content), **more}

    title = {"org.opencontainers.image.title": "db.tar.gz"}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(b"{}", CONFIG),
        "layers": [blob(layer, LAYER, annotations=title)],
    }
    index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), str(manifest["mediaType"]))]}
    (scratch / "layout/index.json").write_text(json.dumps(index), encoding="utf-8")
    (scratch / "layout/oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    subprocess.run([crane, "push", scratch / "layout", reference], check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def registry(program: Path, home: Path) -> Iterator[str]:
    """A real docker-registry on a free port of loopback; its host:port."""
    home.mkdir(parents=True)
    config = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(home / "data")}}}
    config |= {"http": {"addr": "127.0.0.1:0"}, "log": {"level": "info", "formatter": "text"}}
    (home / "config.yml").write_text(json.dumps(config), encoding="utf-8")
    log = home / "log"
    with log.open("w") as out, subprocess.Popen([program, "serve", home / "config.yml"], stderr=out) as running:
        try:
            yield f"127.0.0.1:{_port(log)}"
        finally:
            running.terminate()


def _port(log: Path) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8"))
