"""Moto as a part of the lab: found again, ended by lab.down, which then touches nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.infra import moto
from tasks.lib.lab import cgroups, layout, network, teardown


@pytest.mark.slow
def test_it_is_found_again_and_goes_alone(c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_LAB_HOME", str(tmp_path / "home"))

    def never(*_: object) -> None:
        raise AssertionError("what belongs to the machine was touched")

    monkeypatch.setattr(network, "clean", never)
    monkeypatch.setattr(cgroups, "kill", never)
    endpoint = moto.up()
    assert moto.up() == moto.find() == endpoint
    assert teardown.down(c)
    assert moto.find() == ""
    assert not layout.home().root.exists()
    assert not teardown.down(c)
