"""Releases that are broken in ways no gate can see: each is taken back by itself, and Git agrees with the cluster."""

from __future__ import annotations

import pytest

from tests.lifecycle.world import World

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("crash", "CrashLoopBackOff"),
        ("unready", "not there after"),
        ("huge", "1 Insufficient cpu"),
        ("errors", "answered 500"),
    ],
)
def test_a_broken_release_is_taken_back(world: World, broken: str, says: str) -> None:
    a, bad = world.given("a"), world.sha(broken)
    done = world.deploy(broken, ok=(6,))
    assert says in done.stderr
    assert f"rolled back to {a[:12]}, which runs and is healthy" in done.stderr
    world.agree(a)
    back = next(event for event in world.log() if event["Slipway-Action"] == "rollback")
    assert (back["Slipway-Held"], back["Slipway-Release"]) == (bad, a)
    assert back["Slipway-Reason"].startswith("automatic: ")

    again = world.inv("deploy", "--release", bad, ok=(5,)).stderr
    assert "on hold" in again
    world.agree(a)


def test_a_broken_first_release_leaves_the_environment_empty_again(world: World) -> None:
    env = f"{world.env}-first"
    bad = world.sha("errors")
    done = world.inv("deploy", "--release", bad, env=env, ok=(6,))
    assert "there was no earlier release, so it was taken away again" in done.stderr
    assert world.pinned(env) == ""
    assert world.application(env) == {}
    assert world.get("deployments,services,hpa", namespace=f"slipway-{env}").get("items", []) == []
    assert [event["Slipway-Action"] for event in world.log(env)] == ["rollback", "deploy"]
    assert "nothing" in world.inv("status", env=env).stdout
