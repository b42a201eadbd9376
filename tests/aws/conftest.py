"""moto's server, one per worker and emptied before each test; no credentials of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.lib import registry
from tasks.lib.aws import ecr, session
from tasks.lib.infra_settings import Infra
from tests.aws import counterparts
from tests.aws.counterparts import ACCOUNT, REGION

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # AWS's own examples


@pytest.fixture(scope="session")
def moto_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with counterparts.moto_server(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process without any credentials, that remembers nothing of the test before."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-such-file"))
    monkeypatch.setattr(session, "ATTEMPTS", 2)
    monkeypatch.setattr(registry, "_makers", {})
    monkeypatch.setattr(ecr, "_logins", {})


@pytest.fixture
def somebody(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with an access key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.fixture
def moto(moto_process: str, somebody: None) -> str:
    counterparts.reset(moto_process)
    return moto_process


@pytest.fixture
def infra(moto: str) -> Infra:
    """An environment in moto's account, not marked as emulated: it takes the way of a real one."""
    return Infra(account=ACCOUNT, region=REGION, endpoint=moto)
