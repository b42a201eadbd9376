"""Arrival's conclusions from what a cluster says, moment by moment; the cluster itself is real in tests/lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from urllib3.exceptions import HTTPError

from tasks.lib import argo, arrival
from tasks.lib.argo import Application
from tasks.lib.arrival import NotArrived, Pods
from tasks.lib.errors import Code, Stop
from tasks.lib.kube import Cluster, Silent
from tasks.lib.settings import Environment, LabCluster, Rollout
from tasks.lib.target import Target
from tasks.lib.values import Release

SHA, OLD = "b" * 40, "a" * 40
RELEASE = Release(revision=SHA, repository="r", tag=SHA, digest="sha256:" + "b" * 64)
HERE = Application(
    revision_wanted=SHA,
    revision_synced=SHA,
    sync="Synced",
    health="Healthy",
    digest=RELEASE.digest,
    revision_tried=SHA,
    phase="Succeeded",
)
TARGET = Target(
    env=Environment(
        name="local", cluster=LabCluster(kind="lab"), rollout=Rollout(timeout_seconds=10, version_checks=3)
    ),
    kubeconfig=Path("unused"),
    context="unused",
    repository="unused",
    git_url="unused",
    branch="main",
    publishes=True,
)
CLUSTER = cast("Cluster", None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that passes only while arrival sleeps."""
    now = [1000.0]
    monkeypatch.setattr(arrival.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(arrival.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(argo, "refresh", lambda *_: None)


def says(
    monkeypatch: pytest.MonkeyPatch, answers: Sequence[str | Exception], hopeless: str = "", unschedulable: str = ""
) -> None:
    """The cluster's answers in turn, the last one for ever; '' is arrived, an exception is raised."""
    left: Iterator[str | Exception] = iter(answers)
    last: list[Any] = [""]

    def missing(*_: object) -> str:
        last[0] = next(left, last[0])
        if isinstance(last[0], Exception):
            raise last[0]
        return str(last[0])

    monkeypatch.setattr(arrival, "missing", missing)
    monkeypatch.setattr(arrival, "pods", lambda *_: Pods([], 0, hopeless, unschedulable))


def wait(still_wanted: Callable[[], bool] = lambda: True) -> list[str]:
    notes: list[str] = []
    arrival.wait(CLUSTER, TARGET, RELEASE, still_wanted, notes.append)
    return notes


def test_one_good_look_is_not_arrived(clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, ["", "", "a pod answers another commit", "", "", ""])
    assert wait() == ["(a pod answers another commit)"]


def test_a_cluster_that_is_silent_for_a_while_is_waited_for(clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, [HTTPError("refused"), HTTPError("refused"), "", "", ""])
    assert wait() == ["(the cluster unused does not answer: refused)"]


def test_a_cluster_that_stays_silent_says_nothing_about_the_release(
    clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NotArrived would take a release back that may be fine."""
    says(monkeypatch, [HTTPError("refused")])
    with pytest.raises(Silent) as caught:
        wait()
    assert caught.value.code == Code.COULD_NOT_RUN


def test_too_late_is_not_arrived(clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, ["1 of 2 pods ready"])
    with pytest.raises(NotArrived, match="not there after 10 s: 1 of 2 pods ready"):
        wait()


def test_a_pod_that_no_node_takes_is_waited_for_and_named(clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, ["1 of 2 pods available", "", "", ""], unschedulable="p: 1 Insufficient cpu.")
    assert wait() == ["(1 of 2 pods available; p: 1 Insufficient cpu.)"]
    says(monkeypatch, ["1 of 2 pods available"], unschedulable="p: 1 Insufficient cpu.")
    with pytest.raises(NotArrived, match="not there after 10 s: 1 of 2 pods available; p: 1 Insufficient cpu"):
        wait()


def test_a_newer_decision_ends_the_wait(clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, ["1 of 2 pods ready"])
    with pytest.raises(Stop, match="superseded") as caught:
        wait(lambda: False)
    assert caught.value.code == Code.REFUSED


def test_the_failure_of_the_release_before_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after a rollback Argo CD still shows the operation that failed."""
    before = replace(HERE, revision_synced=OLD, sync="OutOfSync", phase="Failed", message="bad manifest")
    monkeypatch.setattr(argo, "application", lambda *_: replace(before, revision_tried=OLD))
    assert arrival.missing(CLUSTER, TARGET, RELEASE) == "Argo CD says OutOfSync"
    monkeypatch.setattr(argo, "application", lambda *_: before)
    with pytest.raises(NotArrived, match="bad manifest"):
        arrival.missing(CLUSTER, TARGET, RELEASE)


@pytest.mark.parametrize(
    ("app", "says_"),
    [
        (None, "no Application yet"),
        (replace(HERE, revision_wanted=OLD), "the ApplicationSet has not seen the commit yet"),
        (replace(HERE, digest="sha256:" + "a" * 64), "the ApplicationSet has not seen the commit yet"),
        (replace(HERE, revision_synced=OLD), "Argo CD says Synced"),
        (replace(HERE, health="Degraded"), "Argo CD says Degraded"),
        (HERE, ""),
    ],
)
def test_synced_and_healthy_count_only_at_that_revision_and_image(
    app: Application | None, says_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(argo, "application", lambda *_: app)
    monkeypatch.setattr(arrival, "rollout", lambda *_: "")
    monkeypatch.setattr(arrival, "pods", lambda *_: Pods(["p"], 1))
    monkeypatch.setattr(arrival, "versions", lambda *_: {"p": SHA})
    assert arrival.missing(CLUSTER, TARGET, RELEASE) == says_


@pytest.mark.parametrize(
    ("rollout", "pods", "versions", "says_"),
    [
        ("1 old pods left", Pods(["p"], 1), {"p": SHA}, "1 old pods left"),
        ("", Pods(["p", "q"], 1), {"p": SHA, "q": SHA}, "1 of 2 pods ready"),
        ("", Pods([], 0), {}, "0 of 0 pods ready"),
        ("", Pods(["p", "q"], 2), {"p": SHA, "q": OLD}, f"q answers {OLD} on /version"),
    ],
)
def test_every_pod_counts(
    rollout: str, pods: Pods, versions: dict[str, str], says_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(argo, "application", lambda *_: HERE)
    monkeypatch.setattr(arrival, "rollout", lambda *_: rollout)
    monkeypatch.setattr(arrival, "pods", lambda *_: pods)
    monkeypatch.setattr(arrival, "versions", lambda *_: versions)
    assert arrival.missing(CLUSTER, TARGET, RELEASE) == says_
