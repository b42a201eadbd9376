from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service.harness import Server, spawn, wait_until_up


@contextlib.contextmanager
def instances(folder: Path) -> Iterator[Callable[..., Server]]:
    """What starts instances, which end with the block."""
    servers: list[Server] = []

    def begin(**variables: str) -> Server:
        own = folder / f"instance-{len(servers)}"
        own.mkdir()
        servers.append(spawn(own, **variables))
        wait_until_up(servers[-1], int(variables.get("SLIPWAY_WORKERS", "2")))
        return servers[-1]

    try:
        yield begin
    finally:
        for server in servers:
            server.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """start(SLIPWAY_WORKERS="3", ...) gives a running instance that ends with the test."""
    with instances(tmp_path) as begin:
        yield begin


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An instance as it is without settings, for tests that only ask; what counts, stops or breaks starts its own."""
    with instances(tmp_path_factory.mktemp("service")) as begin:
        yield begin()
