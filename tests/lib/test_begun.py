"""What needs a release that runs does not begin a lab that is not there; what a kill left of one is repaired."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.context import Context

from tasks import delivery, gitops
from tasks.lib import lab, settings, target
from tasks.lib.errors import Code, Stop
from tasks.lib.lab import layout, state


@pytest.fixture(autouse=True)
def no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_LAB_HOME", str(tmp_path / "lab"))
    monkeypatch.setattr(lab, "up", lambda _: pytest.fail("a lab was begun"))


@pytest.mark.parametrize("task", [delivery.rollback, delivery.smoke, gitops.wait, gitops.sync, gitops.drift])
def test_nothing_is_begun_to_go_back_or_to_look(c: Context, task: object) -> None:
    with pytest.raises(Stop, match="the lab is down") as stopped:
        task.body(c)  # type: ignore[attr-defined]
    assert (stopped.value.code, stopped.value.fix) == (Code.COULD_NOT_RUN, "./inv lab.up")


def test_a_lab_that_was_begun_is_worth_repairing() -> None:
    local = settings.load("local")
    assert not target.begun(local)
    state.remember(layout.home(), parts=["registry"])
    assert target.begun(local)
    assert target.begun(settings.load("production"))
