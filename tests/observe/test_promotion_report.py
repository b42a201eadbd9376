"""The report of a promotion: Git, Prometheus and the pictures are real; only the two clusters are not there."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

import tasks.promotion
from tasks.lib import applicationset, deploying, desired, paths, promotion, promotion_rules, settings, target
from tasks.lib.arrival import NotArrived
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action
from tasks.lib.settings import Observe
from tasks.lib.values import Release
from tests.lib.conftest import git, world
from tests.lib.stages import Stages, stages
from tests.observe.conftest import Watched
from tests.observe.test_report import page, said

__all__ = ["stages", "world"]

DEAD = "http://127.0.0.1:1"


class Clusters:
    """Two clusters in which every release arrives, but for the one that is named here."""

    def __init__(self) -> None:
        self.broken = ""

    def verify(self, _: object, release: Release) -> None:
        if release.revision == self.broken:
            raise NotArrived("1 of 2 pods available")


@pytest.fixture
def clusters(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> Clusters:
    """Production has a release, and staging had another one long enough: its soak time is over."""
    here = Clusters()
    pair = {"staging": stages.a, "production": stages.b}
    old = git(stages.world.checkout, "rev-parse", "HEAD")
    stages.note(stages.b, 0, Action.PROMOTE, old, source="staging")
    stages.note(stages.b, 1, Action.ARRIVED, old)
    stages.arrive(stages.a, 2, stages.world.commit("new"))
    for name in ("GIT_COMMITTER_DATE", "GIT_AUTHOR_DATE"):
        monkeypatch.delenv(name)
    for name in ("open_", "connect"):
        monkeypatch.setattr(promotion.delivery, name, lambda _, env, **__: pair[env.name])
    monkeypatch.setattr(promotion.delivery, "verify", here.verify)
    monkeypatch.setattr(type(stages.b), "cluster", None)
    monkeypatch.setattr(target, "of", lambda _, env, **__: pair[env.name].target)
    for module in (promotion, deploying):
        monkeypatch.setattr(module.argo, "look_at_git", lambda *_: None)
    monkeypatch.setattr(applicationset, "install", lambda *_: None)
    monkeypatch.setattr(promotion.kube, "answering", lambda *_: nullcontext())
    monkeypatch.setattr(promotion_rules, "record", lambda *_: None)
    return here


def promote(stages: Stages, monkeypatch: pytest.MonkeyPatch, prometheus: str) -> None:
    """The task as it is typed. prometheus: production's."""
    production = stages.b.env.model_copy(update={"observe": Observe(prometheus=prometheus)})
    known = {"staging": stages.a.env, "production": production}
    monkeypatch.setattr(settings, "load", known.__getitem__)
    tasks.promotion.promote(stages.c, yes=True, report=True, watch="0s")


def new_release(stages: Stages) -> str:
    return git(stages.world.checkout, "rev-parse", "HEAD")


@pytest.mark.slow
def test_every_panel_before_and_after_with_the_promotion_marked(
    stages: Stages,
    clusters: Clusters,
    watched: Watched,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    promote(stages, monkeypatch, watched.address)
    sha = new_release(stages)
    assert desired.fetch(stages.c, stages.b.target).release.revision == sha
    text = page(said(capsys))
    assert f"production, promote of {sha[:12]}" in text
    assert "It arrived and is healthy." in text
    assert text.count("▲ promote") == 1
    assert text.count("data:image/png;base64,") == 2 * 9


@pytest.mark.slow
def test_a_promotion_that_was_taken_back_is_marked_with_its_way_back(
    stages: Stages,
    clusters: Clusters,
    watched: Watched,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clusters.broken = sha = new_release(stages)
    with pytest.raises(Stop, match="1 of 2 pods available; rolled back to ") as stopped:
        promote(stages, monkeypatch, watched.address)
    assert stopped.value.code == Code.UNHEALTHY
    text = page(said(capsys))
    assert f"production, promote of {sha[:12]}" in text
    assert "1 of 2 pods available" in text
    assert (text.count("▲ promote"), text.count("▼ rollback")) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("broken", [False, True])
def test_a_dead_prometheus_is_one_warning_and_changes_nothing(
    stages: Stages,
    clusters: Clusters,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    broken: bool,
) -> None:
    sha = new_release(stages)
    if broken:
        clusters.broken = sha
        with pytest.raises(Stop) as stopped:
            promote(stages, monkeypatch, DEAD)
        assert stopped.value.code == Code.UNHEALTHY
    else:
        promote(stages, monkeypatch, DEAD)
        assert desired.fetch(stages.c, stages.b.target).release.revision == sha
    told = said(capsys)
    assert told.count("warning: ") == 1
    assert f"no report: ask Prometheus at {DEAD}: ConnectionError; nothing else suffers" in told
    assert not (paths.work() / "snapshots").exists()
