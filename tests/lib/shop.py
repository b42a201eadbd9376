"""An environment with a registry of its own, one image in it, and what anybody could sign about that image.

Real cosign against Debian's registry on loopback.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import attest, entries, paths, publish, record, signing
from tasks.lib.errors import Code, Stop
from tasks.lib.record import REQUIRED_GATES, Record
from tasks.lib.settings import Registry
from tasks.lib.signing_settings import Keys
from tasks.lib.target import Engine, Target
from tasks.lib.values import Release
from tests.lib.conftest import World
from tests.lib.signed import SHA, docker_registry, entry, environment, key_pair, made, name_of, push_image, target

NO_ENGINE = Engine(docker_host="unix:///nowhere.sock")
SBOM = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Keys, Keys]]:
    """A registry and two key pairs; only the first is the environment's."""
    context = Context()
    context.config.run.in_stream = False
    folder = tmp_path_factory.mktemp("signed")
    with docker_registry(context, folder) as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv(signing.PASSWORD, "")
        yield host, key_pair(context, folder / "ours"), key_pair(context, folder / "theirs")


@dataclass
class Shop:
    """An environment whose registry has one image, not signed yet."""

    c: Context
    here: Target
    theirs: Keys
    release: Release

    def attach(self, what: Record, keys: Keys | None = None) -> None:
        """Signs a record, whatever it says, as whoever has the key may."""
        env = self.here.env if keys is None else environment(keys)
        where = f"{self.release.repository}@{self.release.digest}"
        attest.attach(self.c, signing.signer(self.c, env), where, record.PREDICATE, publish._predicate(what))

    def refuses(self, told: str, here: Target | None = None) -> Stop:
        with pytest.raises(Stop, match=told) as caught:
            publish.ready(self.c, here or self.here, NO_ENGINE, SHA)
        assert caught.value.code == Code.REFUSED
        assert caught.value.fix
        return caught.value


@pytest.fixture
def shop(
    c: Context, world: World, shared: tuple[str, Keys, Keys], request: pytest.FixtureRequest, tmp_path: Path
) -> Shop:
    host, ours, theirs = shared
    repository = f"{host}/team/{name_of(request.node.name)}"
    here = target(environment(ours, registry=Registry(repository=repository)), repository)
    digest = push_image(c, f"{here.repository}:{SHA}", tmp_path)
    return Shop(c, here, theirs, Release(revision=SHA, repository=here.repository, tag=SHA, digest=digest))


def built(shop: Shop) -> Record:
    """What `./inv build` leaves behind: a record with the reports and the SBOM that it names."""
    folder = paths.release(SHA)
    (folder / "reports").mkdir(parents=True, exist_ok=True)
    (folder / publish.SBOM_FILE).write_text(json.dumps(SBOM))
    for name in REQUIRED_GATES:
        (folder / "reports" / f"{name}.json").write_text(name)
    gates = [entry(name, report_sha256=entries.digest_of(SHA, name)) for name in REQUIRED_GATES]
    what = made(gates=gates, sbom_sha256=_sha256(folder / publish.SBOM_FILE))
    (folder / record.FILE).write_text(what.text())
    return what


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
