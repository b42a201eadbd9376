"""Waivers for rules of the infrastructure: what they accept, and what is told of those that do not hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.lib.gates import waivers
from tasks.lib.gates.waivers import Waiver
from tasks.lib.infra import policy
from tests.infra.policy_world import (
    accept,
    broken,
    planned,
    resource,
    text_says,
)

pytestmark = pytest.mark.usefixtures("no_waivers")


def waiver(**changes: Any) -> Waiver:
    today = waivers.today()
    entry = {
        "id": "SLW-RDS-02",
        "package": "aws_db_instance.this",
        "applies": ["infra"],
        "owner": "o",
        "approver": "a",
        "reason": "r",
        "created": today,
        "expires": today + timedelta(days=10),
    }
    return Waiver.model_validate({**entry, **changes})


PLAIN = resource("aws_db_instance", "manage_master_user_password = true")


def test_a_waiver_of_the_resource_accepts_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(monkeypatch, waiver())
    found = text_says(tmp_path, PLAIN, protected=False)
    assert (broken(found), [one.rule for one in found.waived], found.faults) == (set(), ["SLW-RDS-02"], [])


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": waivers.today() - timedelta(days=1), "created": waivers.today() - timedelta(days=9)},
        {"expires": waivers.today() + timedelta(days=200)},
        {"applies": ["all"]},
        {"applies": ["image"]},
        {"applies": ["infra", "production"]},
        {"package": "aws_db_instance.other"},
        {"id": "SLW-RDS-01"},
    ],
)
def test_a_waiver_that_does_not_hold_accepts_nothing(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, waiver(**changes))
    assert broken(text_says(tmp_path, PLAIN, protected=False)) == {"SLW-RDS-02"}


def test_waivers_of_other_gates_are_not_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expired = {"expires": waivers.today() - timedelta(days=1), "created": waivers.today() - timedelta(days=9)}
    accept(monkeypatch, waiver(**expired), waiver(**expired, applies=["image"]))
    (fault,) = text_says(tmp_path, PLAIN, protected=False).faults
    assert "expired" in fault


def test_a_waiver_that_nothing_needs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(monkeypatch, waiver(package="aws_db_instance.gone"), waiver(applies=["infra", "production"]))
    (fault,) = text_says(tmp_path, PLAIN, protected=False).faults
    assert "aws_db_instance.gone matches nothing" in fault


def test_waivers_of_checkovs_rules_are_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(monkeypatch, waiver(id="CKV_AWS_144"))
    assert text_says(tmp_path, PLAIN, protected=False).faults == []


def test_a_waiver_for_an_environment_counts_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(monkeypatch, waiver(applies=["infra", "staging"]))
    assert not broken(policy.judge(planned(tmp_path, PLAIN, protected=False), tmp_path))


def test_a_critical_finding_is_not_waived_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = resource("aws_db_instance", "publicly_accessible = true")
    long, short = waivers.today() + timedelta(days=60), waivers.today() + timedelta(days=30)
    accept(monkeypatch, waiver(id="SLW-RDS-01", expires=long))
    assert "SLW-RDS-01" in broken(text_says(tmp_path, text))
    accept(monkeypatch, waiver(id="SLW-RDS-01", expires=short))
    assert "SLW-RDS-01" not in broken(text_says(tmp_path, text))
