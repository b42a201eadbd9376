"""Several checkouts that add their environments to one cluster at the same moment: none drops another's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest

from tasks.lib import applicationset, kube, settings, target
from tasks.lib.errors import Code, Stop
from tasks.lib.kube import Cluster
from tasks.lib.target import Target
from tests.lifecycle.world import World

pytestmark = pytest.mark.lab


@dataclass(frozen=True)
class Overtaken(Cluster):
    """A cluster in which somebody else acts right after each look at the ApplicationSet."""

    others: list[Callable[[], object]] = field(default_factory=list)

    def argo(self, plural: str, name: str) -> dict[str, Any] | None:
        found = super().argo(plural, name)
        if plural == "applicationsets" and self.others:
            self.others.pop(0)()
        return found


@dataclass
class Installs:
    """Installs of environments that exist nowhere else, into an ApplicationSet of this test's own."""

    world: World
    cluster: Cluster

    def of(self, name: str, *others: Callable[[], object]) -> bool:
        """One install; others act while it changes what it found, which its first look only decides about."""
        parts = {one.name: getattr(self.cluster, one.name) for one in fields(Cluster)}
        overtaken = Overtaken(**parts, others=[lambda: None, *others])
        return applicationset.install(self.world.scratch.c, self.target(name), overtaken)

    def target(self, name: str) -> Target:
        here = target.of(self.world.scratch.c, settings.load("local"))
        return replace(here, env=here.env.model_copy(update={"name": name}))

    def listed(self) -> list[str]:
        there = self.cluster.argo("applicationsets", applicationset.NAME)
        return applicationset._listed(self.target("any"), there)


@pytest.fixture
def installs(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installs]:
    monkeypatch.setattr(applicationset, "NAME", f"installs-{world.env}")
    # Of this checkout's environments none may get a second owner.
    monkeypatch.setattr(applicationset, "_environments", lambda target: [target.env.name])
    cluster = kube.connect(target.of(world.scratch.c, settings.load("local")))
    yield Installs(world, cluster)
    world.scratch.kubectl(
        "--namespace", "argocd", "delete", "applicationset", applicationset.NAME, "--ignore-not-found"
    )


def test_none_is_dropped_by_another_that_looked_before_it_came(
    installs: Installs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert installs.of("one", lambda: installs.of("two"))
    assert installs.listed() == ["one", "two"]
    assert installs.of("three", lambda: installs.of("four"), lambda: installs.of("five"))
    assert installs.listed() == ["five", "four", "one", "three", "two"]
    assert "failed" not in capsys.readouterr().out  # to look again is no failure that a person should read of
    assert not installs.of("three")


def test_whoever_is_always_overtaken_changes_nothing_and_says_so(
    installs: Installs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applicationset, "ATTEMPTS", 2)
    with pytest.raises(Stop, match="others changed it 2 times") as stop:
        installs.of("one", *(lambda name=name: installs.of(name) for name in ("two", "three")))
    assert (stop.value.code, stop.value.fix) == (Code.COULD_NOT_RUN, "./inv gitops.install --env one")
    assert installs.listed() == ["three", "two"]


def test_a_first_install_that_was_killed_is_finished_by_the_next(installs: Installs) -> None:
    applicationset._begin(installs.cluster)
    assert installs.listed() == []
    assert installs.of("one")
    assert installs.listed() == ["one"]
    text = installs.world.scratch.kubectl(
        "--namespace", "argocd", "get", "applicationset", applicationset.NAME, "--output=json"
    )
    assert json.loads(text)["spec"]["template"]["spec"]["project"] == "slipway"
