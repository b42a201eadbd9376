"""One moto server per worker; every test has a state bucket and a checkout of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.lib.infra import moto
from tasks.lib.lab.layout import Home
from tests.infra import world as worlds
from tests.infra.policy_world import accept
from tests.infra.world import World


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server listens."""
    home = Home(tmp_path_factory.mktemp("aws"))
    yield moto.up(home)
    moto.down(home)


@pytest.fixture
def world(tmp_path: Path, endpoint: str) -> World:
    """A checkout with a root that needs no provider."""
    return worlds.make(tmp_path, endpoint)


@pytest.fixture
def no_waivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is accepted, whatever the checkout's own file says."""
    accept(monkeypatch)
