from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service.harness import Server, spawn, wait_until_up


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """start(SLIPWAY_WORKERS="3", ...) gives a running instance that ends with the test."""
    servers: list[Server] = []

    def begin(**variables: str) -> Server:
        folder = tmp_path / f"instance-{len(servers)}"
        folder.mkdir()
        servers.append(spawn(folder, **variables))
        wait_until_up(servers[-1], int(variables.get("SLIPWAY_WORKERS", "2")))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()
