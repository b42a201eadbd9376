"""A release record as a test wants it, a registry of its own, and key pairs of cosign."""

from __future__ import annotations

import re
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import requests
from invoke.context import Context

from tasks.lib import registry, tools
from tasks.lib.record import (
    REQUIRED_GATES,
    BuildInputs,
    CanaryEntry,
    DatabaseEntry,
    GateEntry,
    Judged,
    Predicate,
    Record,
)
from tasks.lib.settings import ContextCluster, Environment, Gates, GitRemote, Registry
from tasks.lib.signing_settings import Keys
from tasks.lib.target import Target

SHA, DIGEST = "a" * 40, "sha256:" + "d" * 64
BUILT = datetime(2026, 1, 1, tzinfo=timezone.utc)
CONFIG = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def entry(name: str, outcome: str = "pass", **changes: Any) -> GateEntry:
    """A gate that looked and found nothing."""
    fields: dict[str, Any] = {
        "name": name,
        "outcome": outcome,
        "tool": "t",
        "version": "1",
        "canary": CanaryEntry(planted=2, caught=2),
        "report_sha256": "e" * 64,
        "started": BUILT,
        "ended": BUILT,
        **changes,
    }
    return GateEntry(**fields)


def database(**changes: Any) -> DatabaseEntry:
    """A fresh database of everything."""
    return DatabaseEntry(**{"source": "s", "date": BUILT, "covers": ["pip", "debian"], **changes})


def made(sha: str = SHA, digest: str = DIGEST, **changes: Any) -> Record:
    """A record that passes everywhere, but for these fields of its predicate."""
    fields: dict[str, Any] = {
        "service": "slipway-service",
        "commit": sha,
        "inputs": BuildInputs(base_image="b", base_image_id="i", requirements_sha256="r", source_date_epoch=1),
        "image_id": "sha256:" + "c" * 64,
        "sbom_sha256": "f" * 64,
        "gates": [entry(name) for name in REQUIRED_GATES],
        "judged": Judged(environment="staging", severities=["CRITICAL", "HIGH"]),
        "by": "Ann <ann@example.com>",
        "started": BUILT,
        "built": BUILT,
        **changes,
    }
    return Record(predicate=Predicate(**fields)).about("registry.example.com/s", digest)


def with_gate(name: str, **changes: Any) -> Record:
    """Such a record, one gate of which differs."""
    return made(gates=[entry(other, **(changes if other == name else {})) for other in REQUIRED_GATES])


def environment(keys: Keys | None = None, **changes: Any) -> Environment:
    """A strict environment of somebody's own cluster."""
    fields: dict[str, Any] = {
        "name": "staging",
        "cluster": ContextCluster(kind="context", context="there"),
        "registry": Registry(repository="registry.example.com/s"),
        "git": GitRemote(url="https://git.example.com/s.git"),
        "signing": keys,
        "gates": Gates(),
        **changes,
    }
    return Environment(**fields)


def target(env: Environment, repository: str) -> Target:
    """That environment, with another registry."""
    return Target(env, Path("unused"), "there", repository, "https://git.example.com/s.git", "main", publishes=False)


def with_env(here: Target, **changes: Any) -> Target:
    """The same target, its environment changed."""
    return replace(here, env=here.env.model_copy(update=changes))


def key_pair(c: Context, folder: Path) -> Keys:
    """A key pair without a password, made by cosign."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = [tools.path(c, "cosign"), "generate-key-pair", f"--output-key-prefix={folder / 'cosign'}"]
    subprocess.run(argv, check=True, capture_output=True, timeout=60, env={"COSIGN_PASSWORD": "", "HOME": str(folder)})
    return Keys(kind="key", key=str(folder / "cosign.key"), public_key=str(folder / "cosign.pub"))


@contextmanager
def docker_registry(c: Context, folder: Path) -> Iterator[str]:
    """Debian's registry on a free port of loopback; its host:port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = folder / "registry.yml"
    file.write_text(CONFIG.format(folder=folder / "blobs", port=port))
    log = (folder / "registry.log").open("w")
    with log, subprocess.Popen([tools.path(c, "docker-registry"), "serve", file], stdout=log, stderr=log) as it:
        try:
            _wait(f"http://127.0.0.1:{port}/v2/", folder / "registry.log")
            yield f"127.0.0.1:{port}"
        finally:
            it.terminate()


def _wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def push_image(c: Context, reference: str, folder: Path) -> str:
    """A tiny image under this reference; its digest."""
    layer = folder / "layer.tar"
    (folder / "file").write_text(reference)
    with tarfile.open(layer, "w") as tar:
        tar.add(folder / "file", "file")
    words = [tools.path(c, "crane"), "append", "--oci-empty-base", "--new_layer", layer, "--new_tag", reference]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    return registry.digest(c, reference)


def name_of(test: str) -> str:
    """A repository of a test's own."""
    return re.sub("[^a-z0-9]+", "-", test.lower()).strip("-")
