"""Two applies at once, and applies that are killed: the state stays whole, and the next plan says what is left."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.infra import applying, plans, state, terraform
from tasks.lib.infra_settings import State
from tests.infra.world import World, context

SLOW = 'word = "first"\nseconds = {}\n'


def apply(world: World, work: str, ended: list[Stop]) -> threading.Thread:
    """Applies in a thread with a context of its own; what it is stopped with is added to `ended`."""

    def run() -> None:
        here = World(context(), world.repo, world.env).place(work)
        try:
            with terraform.ready(context(), here) as ready:
                applying.apply(ready, plans.read(ready, here.saved / plans.PLAN))
        except Stop as stop:
            ended.append(stop)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def wait_for(what: str, log: Path, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not (log.exists() and what in log.read_text()):
        assert time.monotonic() < end, f"{what} was not seen in {log}"
        time.sleep(0.1)


def terraform_of(folder: Path) -> list[int]:
    """Process ids of the terraform that applies a plan of this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"terraform") and any(word.startswith(str(folder).encode()) for word in words):
            found.append(int(entry.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_of_two_applies_at_once_the_second_waits_and_refuses(world: World) -> None:
    world.write("tf/environments/x.tfvars", SLOW.format(5))
    world.plan("mine")
    world.plan("yours")
    ended: list[Stop] = []
    first = apply(world, "mine", ended)
    wait_for("apply_start", world.place("mine").work / applying.LOG)
    second = apply(world, "yours", ended)
    first.join(120)
    second.join(120)
    assert [(stop.code, "the state has changed" in stop.sentence) for stop in ended] == [(Code.REFUSED, True)]
    kept = json.loads(world.state())
    assert sorted(one["name"] for one in kept["resources"]) == ["one", "slow"]
    assert world.plan().empty


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_after_a_kill_the_lock_is_told_taken_away_and_the_next_plan_says_what_is_left(world: World) -> None:
    world.write("tf/environments/x.tfvars", SLOW.format(60))
    world = world.change(state=State(bucket=world.env.infra.bucket, lock_seconds=0))
    world.plan()
    ended: list[Stop] = []
    thread = apply(world, "work", ended)
    wait_for("Provisioning with", world.place().work / applying.LOG)
    for pid in terraform_of(world.place().saved):
        os.kill(pid, signal.SIGKILL)
    thread.join(60)
    assert [stop.code for stop in ended] == [Code.COULD_NOT_RUN]

    with pytest.raises(Stop, match="the state is locked") as caught:
        world.plan()
    assert (caught.value.code, caught.value.fix) == (
        Code.COULD_NOT_RUN,
        "wait, or ./inv infra.unlock --env local",
    )
    with terraform.ready(world.c, world.place()) as ready:
        held = state.lock(ready.place)
        assert held is not None
        assert held.id in caught.value.sentence
        state.unlock(ready, held)
        assert state.lock(ready.place) is None
        assert [address for address, _ in applying.unrecorded(ready)] == ["terraform_data.one"]
    world.write("tf/environments/x.tfvars", SLOW.format(1))
    left = world.plan()
    assert "terraform_data.slow[0]" in [change.address for change in left.acting]
