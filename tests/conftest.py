"""What every test stands on: no trace of an outer pipeline, no standard input, one worker for the lab."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest
from invoke.context import Context

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
    """A context whose programs get no standard input: pytest's own cannot be read."""
    context = Context()
    context.config.run.in_stream = False
    return context


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the lab share one platform, so they run on one worker, one after the other."""
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.xdist_group("lab"))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Takes the lab down where `./inv test` asks for it: after the last test, before pytest's summary line."""
    yield
    if os.environ.get(quality.LAB_DOWN_AFTER) and not hasattr(session.config, "workerinput"):
        from tasks.lib import lab

        context = Context()
        context.config.run.in_stream = False
        if lab.find():
            lab.down(context)
