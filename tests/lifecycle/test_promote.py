"""Environments of elsewhere, rehearsed side by side: a release soaks in one and is promoted into the next.

Their files name clusters that do not exist; the lab hosts them as it would host staging and production.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from invoke.runners import Result

from tasks.lib import rehearsal
from tasks.lib.bench.scratch import SMALL, environment
from tests.lifecycle.world import SERVICE, TEXT, World, swap

pytestmark = [pytest.mark.lab, pytest.mark.slow]
SOAK, SHORT_SOAK = 20, 5  # seconds
FAILS_IN = "fourth"
TEMPLATE, EXTRA = "k8s/helm/templates/_env.tpl", "{{- with .Values.extraEnv }}"
# What no gate and no environment before can see: it is broken in one namespace only.
BROKEN_THERE = f"""{{{{- if hasSuffix "-{FAILS_IN}" .Release.Namespace }}}}
- name: SLIPWAY_FAULT_ERRORS
  value: "1"
{{{{- end }}}}
{EXTRA}"""
ELSEWHERE = {
    "cluster": {"kind": "context", "context": "elsewhere"},
    "registry": {"repository": "registry.example.com/team/slipway-service"},
    "git": {"url": "https://git.example.com/team/slipway.git"},
    "signing": {"kind": "key", "key": "env://NOBODY_HAS_IT", "public_key": "gitops/cosign.pub"},
    "rollout": {"timeout_seconds": 60},
}


@dataclass
class Rehearsal:
    world: World
    first: str
    """The SHA of a release that knows both environments."""
    a: str
    b: str

    def promote(self, *words: str, ok: tuple[int, ...] = (0,)) -> Result:
        return self.world.scratch.inv("promote", "--from", self.a, "--to", self.b, "--yes", *words, ok=ok)


@pytest.fixture(scope="module")
def pairs(world: World) -> Iterator[list[Rehearsal]]:
    """Two ways of two environments each, so that no test finds what the other one left; one release knows them all."""
    a, b, third, fourth = names = [f"{world.env}-{name}" for name in ("before", "next", "third", FAILS_IN)]
    files = {**environment(a, ELSEWHERE, SMALL), **environment(third, ELSEWHERE, SMALL)}
    files |= environment(b, {**ELSEWHERE, "promotion": {"from": a, "soak": f"{SOAK}s"}}, SMALL)
    files |= environment(fourth, {**ELSEWHERE, "promotion": {"from": third, "soak": f"{SHORT_SOAK}s"}}, SMALL)
    try:
        sha = world.scratch.commit(files, "add environments of elsewhere", world.sha("a"))
        world.scratch.inv("lab.up", "--rehearse", ",".join(names))
        words = [word for task in ("scan", "build") for word in (task, "--env", a, "--release", sha)]
        world.scratch.inv(*words)
        yield [Rehearsal(world, sha, a, b), Rehearsal(world, sha, third, fourth)]
    finally:
        # Removing what ran there asks for the names alone.
        rehearsal.forget(names)


@pytest.fixture
def rehearsed(pairs: list[Rehearsal]) -> Rehearsal:
    return pairs[0]


@pytest.fixture
def failing(pairs: list[Rehearsal]) -> Rehearsal:
    """Into its second environment a release can be promoted that runs in the first one and not there."""
    return pairs[1]


def test_a_release_soaks_and_is_promoted_and_a_freeze_stops_the_next(rehearsed: Rehearsal) -> None:
    world, a, b, first = rehearsed.world, rehearsed.a, rehearsed.b, rehearsed.first
    scratch = world.scratch
    shown = json.loads(scratch.inv("lab.status", "--json").stdout)
    assert {a: f"slipway-{a}", b: f"slipway-{b}"}.items() <= shown["rehearsed"].items()

    # Nothing goes past the promotion, and nothing is promoted before its time.
    done = world.inv("deploy", "--release", first, "--yes", env=a)
    assert f"{a} is the one that this machine's lab rehearses" in done.stdout
    arrived = time.monotonic()
    refused = world.inv("deploy", "--release", first, "--yes", env=b, ok=(5,)).stderr
    assert f"promotion only: {b} takes releases that soaked in {a}" in refused
    refused = rehearsed.promote(ok=(5,)).stderr
    assert f"soak: {first[:12]} ran healthy in {a} for " in refused
    assert f"of the {SOAK} s that {b} asks for" in refused
    assert f"./inv promote --from {a} --to {b} --release {first[:12]}" in refused
    assert world.pinned(b) == ""

    # After it, the very lines that soaked are there, and both run side by side. The next release is built meanwhile.
    edits = {SERVICE: swap(TEXT, "Tells what time it is")}
    second = scratch.commit(edits, "the next release", first)
    words = [word for task in ("scan", "build") for word in (task, "--env", a, "--release", second)]
    scratch.inv(*words)
    time.sleep(max(0.0, arrived + SOAK + 1 - time.monotonic()))
    rehearsed.promote()
    world.agree(first, b)
    world.agree(first, a)
    events = world.log(b)
    assert [event["Slipway-Action"] for event in events] == ["arrived", "promote"]
    assert events[1]["Slipway-From"] == a

    # A frozen environment takes nothing, whoever asks; the next release waits.
    world.inv("deploy", "--release", second, "--yes", env=a)
    arrived = time.monotonic()
    world.inv("freeze", "--until", "1h", "--reason", "a drill", "--yes", env=b)
    assert "a drill" in world.inv("status", env=b).stdout
    time.sleep(max(0.0, arrived + SOAK + 1 - time.monotonic()))
    refused = rehearsed.promote(ok=(5,)).stderr
    assert f"frozen: {b} takes no release: a drill" in refused
    assert f"./inv unfreeze --env {b} --reason WHY" in refused
    why = scratch.inv("why", "--release", second, "--env", b).stdout
    assert f"blocks its promotion to {b}: frozen: " in why
    world.agree(first, b)

    # Unfrozen it goes on. The way back is open during a freeze, and what was rolled back stays away.
    world.inv("unfreeze", "--reason", "the drill is over", "--yes", env=b)
    rehearsed.promote()
    world.agree(second, b)
    world.inv("freeze", "--until", "1h", "--reason", "another drill", "--yes", env=b)
    world.inv("rollback", "--reason", "500s", "--yes", env=b)
    world.agree(first, b)
    world.inv("unfreeze", "--reason", "the drill is over", "--yes", env=b)
    refused = rehearsed.promote(ok=(5,)).stderr
    assert f"on hold: {second[:12]} was rolled back in {b}: 500s" in refused
    rehearsed.promote("--release", second, "--reason", "it was the database")
    world.agree(second, b)


def test_a_promotion_that_fails_is_taken_back_where_it_failed(failing: Rehearsal) -> None:
    world, a, b, first = failing.world, failing.a, failing.b, failing.first
    scratch = world.scratch
    world.inv("deploy", "--release", first, "--yes", env=a)
    arrived = time.monotonic()
    bad = scratch.commit({TEMPLATE: swap(EXTRA, BROKEN_THERE)}, "fails in one place", first)
    words = [word for task in ("scan", "build") for word in (task, "--env", a, "--release", bad)]
    scratch.inv(*words)
    time.sleep(max(0.0, arrived + SHORT_SOAK + 1 - time.monotonic()))
    failing.promote()
    world.agree(first, b)

    # It arrives and soaks where it was tried; where it is promoted to, the one before comes back by itself.
    world.inv("deploy", "--release", bad, "--yes", env=a)
    time.sleep(SHORT_SOAK + 1)
    said = failing.promote(ok=(6,)).stderr
    assert "answered 500" in said
    assert f"rolled back to {first[:12]}, which runs and is healthy" in said
    world.agree(first, b)
    world.agree(bad, a)
    moved = [event for event in world.log(b) if event["Slipway-Action"] in ("rollback", "promote")]
    assert [(event["Slipway-Action"], event["Slipway-Release"]) for event in moved] == [
        ("rollback", first),
        ("promote", bad),
        ("promote", first),
    ]
    assert moved[0]["Slipway-Held"] == bad
    assert moved[0]["Slipway-Reason"].startswith("automatic: ")

    # It runs healthy before the promotion, and all the same stays away until somebody says why not.
    refused = failing.promote(ok=(5,)).stderr
    assert f"on hold: {bad[:12]} was rolled back in {b}: automatic: " in refused
    why = scratch.inv("why", "--release", bad, "--env", b).stdout
    assert f"blocks its promotion to {b}: on hold: " in why
    world.agree(first, b)
