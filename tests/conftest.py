"""What every test stands on: no trace of an outer pipeline, no standard input, a turn for whoever needs the lab."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

import pytest
from invoke.context import Context
from xdist.scheduler import LoadScopeScheduling

from tasks import ns
from tasks.lib import quality

# A GitLab job as a test sees it; real ones set some hundred more.
GITLAB: Mapping[str, str] = {
    "CI": "true",
    "GITLAB_CI": "true",
    "CI_JOB_NAME": "build",
    "CI_JOB_URL": "https://gitlab.example.com/team/slipway/-/jobs/7",
    "CI_PIPELINE_ID": "42",
    "CI_COMMIT_REF_NAME": "main",
    "CI_DEFAULT_BRANCH": "main",
    "GITLAB_USER_LOGIN": "ann",
}


LAB_DOWN_AFTER = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Keeps from tests what every program that they start would inherit from `./inv test`.

    A run in the background of a shell ignores Ctrl-C, and another pytest would take the lab down under this one.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[LAB_DOWN_AFTER] = bool(os.environ.pop(quality.LAB_DOWN_AFTER, ""))


@pytest.fixture(autouse=True)
def outside_any_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test says itself that it runs in a pipeline (fixture gitlab); the one around it does not count."""
    for name in list(os.environ):
        if name == "CI" or name.startswith(("CI_", "GITLAB_")):
            monkeypatch.delenv(name)


@pytest.fixture
def gitlab(outside_any_pipeline: None, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The test runs as if in a GitLab job."""
    for name, value in GITLAB.items():
        monkeypatch.setenv(name, value)
    return GITLAB


@pytest.fixture
def c() -> Context:
    """A context as tasks have it, whose programs get no standard input: pytest's own cannot be read."""
    context = Context()
    context.config.load_collection(ns.configuration())
    context.config.run.in_stream = False
    return context


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Tests of the lab share one platform: files that have some go to one worker, all other tests to the next free one.

    So do those files whose tests of the lab keep to themselves there (mark `beside`).
    Not xdist_group: pytest-xdist 3.8 cannot pass groups on under pytest 9.2.
    """
    if config.getvalue("dist") != "loadscope":
        return None

    class OneWorkerForTheLab(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = config.rootpath / nodeid.partition("::")[0]
            return "lab" if _has(file, "lab") and not _has(file, "beside") else nodeid

    return OneWorkerForTheLab(config, log)


@cache
def _has(file: Path, mark: str) -> bool:
    return f"mark.{mark}" in file.read_text(encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What damages the lab comes last: by then those that use it beside the others have ended."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


class _Turn:
    """This worker's hold on the lab, against the other workers of the run."""

    def __init__(self) -> None:
        self.file: IO[str] | None = None

    def take(self, folder: Path, how: int) -> None:
        """how: LOCK_SH of fcntl(2) beside others, LOCK_EX alone; waits for it."""
        self.file = self.file or (folder / "turns-of-the-lab").open("w")
        fcntl.flock(self.file, how)

    def give_back(self) -> None:
        if self.file:
            fcntl.flock(self.file, fcntl.LOCK_UN)


_turn = _Turn()


def _wanted(item: pytest.Item | None) -> int:
    if item is None or not hasattr(item.config, "workerinput"):
        return 0
    holds = {"alone": fcntl.LOCK_EX, "beside": fcntl.LOCK_SH}
    return next((how for mark, how in holds.items() if item.get_closest_marker(mark)), 0)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Whoever damages the lab waits for those beside, and holds them off until the last of a row has cleaned up.

    Around everything that belongs to the test: the time that it waits does not count for its timeout.
    """
    how = _wanted(item)
    if how:
        # One folder above a worker's own is the run's.
        _turn.take(item.config._tmp_path_factory.getbasetemp().parent, how)  # type: ignore[attr-defined]
    try:
        return (yield)
    finally:
        if how and _wanted(nextitem) != how:
            _turn.give_back()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Takes the lab down where `./inv test` asks for it: after the last test, before pytest's summary line."""
    yield
    if session.config.stash[LAB_DOWN_AFTER]:
        from tasks.lib import lab

        context = Context()
        context.config.run.in_stream = False
        if lab.find():
            lab.down(context)
