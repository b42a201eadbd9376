"""Two at once, killed half-way, interrupted: nothing is lost and the next call goes on from there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tasks.lib.bench.scratch import Scratch
from tests.lifecycle.world import World

pytestmark = pytest.mark.lab


def until(process: subprocess.Popen[str], text: str) -> str:
    """Reads the process's output until a line has this text; everything read."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    pytest.fail(f"ended without {text!r}:\n{seen}")


def end(process: subprocess.Popen[str], how: signal.Signals) -> str:
    """Sends the signal as a terminal or the kernel would, and waits; what was printed after it."""
    if how is signal.SIGKILL:
        process.kill()  # the process alone: what it had started goes on, as after an out-of-memory kill
    else:
        os.killpg(process.pid, how)
    return process.communicate(timeout=60)[0]


def test_two_deploys_at_once_lose_nothing(world: World, tmp_path: Path) -> None:
    """b, and c on top of it, from two checkouts: c runs in the end, and Git tells what became of b."""
    world.given("a")
    b, c = world.sha("b"), world.sha("c")
    twin = Scratch(world.scratch.c, tmp_path / "twin", world.env, world.scratch.lab)
    shutil.copytree(world.scratch.folder, twin.folder, symlinks=True)
    lift = ("--lift-hold", "the next test")
    older = world.start("deploy", "--release", b, *lift)
    newer = World(twin).start("deploy", "--release", c, *lift)
    said = {"b": older.communicate(timeout=240)[0], "c": newer.communicate(timeout=240)[0]}
    assert newer.returncode == 0, said["c"]
    assert older.returncode in (0, 5), said["b"]
    if older.returncode == 5:
        assert "superseded" in said["b"]
    world.agree(c)
    events = [(event["Slipway-Action"], event["Slipway-Release"]) for event in world.log()]
    assert events.index(("arrived", c)) < events.index(("deploy", c))
    if ("deploy", b) in events:
        assert events.index(("deploy", c)) < events.index(("deploy", b)), "the newer one came after the older one"
    assert not [event for event in events[: events.index(("deploy", c))] if event[0] == "rollback"]


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("Bump the release lines ...", id="in-the-transaction"),
        pytest.param("Arrive in", id="after-the-push"),
        pytest.param("Smoke test ...", id="before-it-is-noted"),
    ],
)
def test_a_killed_deploy_is_finished_by_the_next(world: World, moment: str) -> None:
    world.given("a")
    b = world.sha("b")
    process = world.start("deploy", "--release", b, "--lift-hold", "the next test")
    until(process, moment)
    end(process, signal.SIGKILL)
    world.inv("deploy", "--release", b, "--lift-hold", "the next test")
    world.agree(b)
    deploys = [event for event in world.log() if event["Slipway-Release"] == b]
    newest = [event["Slipway-Action"] for event in deploys[:2]]
    assert newest == ["arrived", "deploy"], "bumped once and noted once"


def test_a_killed_way_back_is_finished_by_the_next_rollback(world: World) -> None:
    a = world.given("a")
    world.sha("errors")
    process = world.start("deploy", "--release", world.sha("errors"), "--lift-hold", "the next test")
    until(process, "Roll back: done")
    end(process, signal.SIGKILL)
    assert world.pinned() == a
    world.inv("rollback")
    world.agree(a)
    assert world.log()[0]["Slipway-Action"] == "arrived"


def test_an_interrupt_leaves_what_the_next_call_understands(world: World) -> None:
    world.given("a")
    b = world.sha("b")
    process = world.start("deploy", "--release", b, "--lift-hold", "the next test")
    until(process, "Arrive in")
    began = time.monotonic()
    said = end(process, signal.SIGINT)
    assert time.monotonic() - began < 5
    assert process.returncode not in (0, 6), said
    assert "Traceback" not in said
    assert "next: ./inv deploy" in said
    assert world.pinned() == b
    world.inv("gitops.wait")
    world.inv("deploy", "--release", b)
    world.agree(b)
