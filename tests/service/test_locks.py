"""What ships is what was locked and tested, and the image starts from bytecode."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.harness import SERVICE, Server

LOCK = (SERVICE / "requirements.txt").read_text()
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.M))


def test_every_requirement_is_locked_with_hashes() -> None:
    wanted = [x for x in (SERVICE / "requirements.in").read_text().split("\n") if x and not x.startswith("#")]
    assert set(wanted) <= set(PINS)
    for block in re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block


def test_the_lock_names_no_index_and_no_machine() -> None:
    assert not re.search(r"https?://|--index|--find-links|/work|/root|/home", LOCK)


def test_these_tests_run_what_ships() -> None:
    here = {name: importlib.metadata.version(name) for name in PINS}
    assert here == PINS, "lock the tasks' requirements with the service's as constraints"


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}], ids=["off", "on"])
def test_bytecode_is_there_for_everything_that_runs(
    tmp_path: Path, start: Callable[..., Server], variables: dict[str, str]
) -> None:
    cache = tmp_path / "pycache"
    python_path = {"PYTHONPATH": str(SERVICE), "PYTHONPYCACHEPREFIX": str(cache)}
    warm = [sys.executable, str(SERVICE / "warm_bytecode.py")]
    subprocess.run(warm, check=True, timeout=60, env={**os.environ, **python_path, "PYTHONDONTWRITEBYTECODE": "1"})
    before = set(cache.rglob("*.pyc"))
    assert len(before) > 200

    # With writing allowed, whatever the build step missed appears as a new file.
    server = start(**python_path, **variables, PYTHONDONTWRITEBYTECODE="")
    for path in ("/", "/version", "/health", "/ready", "/api/time?zone=Asia/Tokyo", "/nothing", "/metrics"):
        server.get(path)
    server.get("/metrics", {"Accept": "application/openmetrics-text"})
    server.terminate()
    assert server.process.wait(10) == 0
    late = set(cache.rglob("*.pyc")) - before
    assert not sorted(str(path.relative_to(cache)) for path in late)


@pytest.mark.slow
def test_bytecode_of_a_build_never_depends_on_clocks(tmp_path: Path) -> None:
    warm = [sys.executable, str(SERVICE / "warm_bytecode.py")]
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(warm, check=True, timeout=60, env=env)
    flags = {path.read_bytes()[4:8] for path in tmp_path.rglob("*.pyc")}
    assert flags == {b"\x01\0\0\0"}  # PEP 552: by hash, unchecked
