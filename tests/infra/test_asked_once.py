"""What infra tasks ask once: a saved plan per content, a log per line, and text while Terraform works."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.infra import configuration, following, planfile, plans, showing, terraform
from tasks.lib.infra.following import followed
from tests.infra.world import World

DONE = '{"@message":"","type":"apply_complete","hook":{"resource":{"addr":"%s"}}}\n'


@pytest.mark.slow
def test_a_saved_plan_is_shown_once_and_another_one_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    real = planfile.read

    def read(text: str) -> planfile.Plan:
        shown.append(text)
        return real(text)

    monkeypatch.setattr(planfile, "read", read)
    first = world.plan()
    file = world.place().saved / plans.PLAN
    with terraform.ready(world.c, world.place()) as ready:
        assert plans.read(ready, file) is first
        assert len(shown) == 1
        old = file.read_bytes()
        world.write("tf/environments/x.tfvars", 'word = "second"\n')
        second = world.plan("other")
        assert len(shown) == 2
        # What is at the path counts, never the path.
        file.write_bytes((world.place("other").saved / plans.PLAN).read_bytes())
        assert plans.read(ready, file) is second
        file.write_bytes(old)
        assert plans.read(ready, file) is first
        assert len(shown) == 2


def test_an_apply_is_followed_by_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK", 0.01)
    log, notes = tmp_path / "apply.jsonl", list[str]()

    def told(what: str) -> None:
        end = time.monotonic() + 20
        while not notes or notes[-1] != what:
            assert time.monotonic() < end, notes
            time.sleep(0.01)

    with followed(log, 3, notes.append), log.open("a") as file:
        file.write("no JSON\n" + DONE % "a.one" + (DONE % "a.two")[:40])
        file.flush()
        told("(1 of 3 done, now a.one)")
        file.write((DONE % "a.two")[40:])
        file.flush()
        told("(2 of 3 done, now a.two)")
        file.write(DONE % "a.three")
        file.flush()
        told("(3 of 3 done, now a.three)")
    assert len(notes) == 3


@pytest.mark.slow
def test_what_is_read_ahead_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world.place()
    with showing.ahead(here):
        pass
    monkeypatch.setattr("hcl2.loads", lambda *words, **options: pytest.fail("read twice"))
    assert configuration.read(here.root, here.variables)


@pytest.mark.slow
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_cannot_be_read_ahead_is_told_by_whoever_asks(world: World) -> None:
    world.write("tf/main.tf", "resource {{{\n")
    here = world.place()
    with showing.ahead(here):
        pass
    with pytest.raises(Stop, match=r"main\.tf.* is no HCL") as caught:
        showing.violations(here, None)
    assert caught.value.code == Code.USAGE


@pytest.mark.slow
def test_a_failure_does_not_wait_for_what_is_read_ahead(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "read", lambda *words: time.sleep(30))
    began = time.monotonic()
    with pytest.raises(Stop, match="at once"), showing.ahead(world.place()):
        raise Stop("at once")
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_gos_collector_runs_less_often_unless_somebody_says_how_often(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    assert terraform.Terraform(world.c, Path("terraform"), world.place()).variables["GOGC"] == "400"
    monkeypatch.setenv("GOGC", "50")
    assert terraform.Terraform(world.c, Path("terraform"), world.place()).variables["GOGC"] == "50"
