"""Every rule with a file that breaks it and one that keeps it, asked of the text and of a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.lib import paths
from tasks.lib.infra import policy
from tasks.lib.infra.planfile import Plan
from tests.infra.policy_cases import CASES, TEXT_CASES, TYPES
from tests.infra.policy_world import (
    GOOD,
    broken,
    folder,
    planned,
    resource,
    text_says,
)

pytestmark = pytest.mark.usefixtures("no_waivers")


def number(case: tuple[str, str, str]) -> str:
    return case[0]


@pytest.mark.parametrize(("rule", "bad", "good"), CASES + TEXT_CASES, ids=map(number, CASES + TEXT_CASES))
@pytest.mark.slow
def test_each_rule_of_the_text(rule: str, bad: str, good: str, tmp_path: Path) -> None:
    assert rule in broken(text_says(tmp_path / "bad", bad))
    kept = text_says(tmp_path / "good", good)
    assert rule not in broken(kept) | {one.rule for one in kept.open}


@pytest.mark.parametrize(("rule", "bad", "good"), CASES, ids=map(number, CASES))
def test_each_rule_of_a_plan(rule: str, bad: str, good: str, tmp_path: Path) -> None:
    found = policy.judge(planned(tmp_path, bad), tmp_path)
    assert ("plan", rule) in {(one.seen_in, one.rule) for one in found.violations}
    kept = policy.judge(planned(tmp_path, good), tmp_path)
    assert rule not in broken(kept) | {one.rule for one in kept.open}


def test_every_rule_has_a_case_and_says_why_and_what_instead() -> None:
    tried = {rule for rule, _, _ in CASES + TEXT_CASES}
    assert tried == {rule.id for rule in policy.rules()}
    texts = {rule: " ".join(bad for name, bad, _ in CASES + TEXT_CASES if name == rule) for rule in tried}
    blocks = {"*", "terraform", "provider", "module"}
    kinds = [(rule, kind.removeprefix("data.")) for rule, several in TYPES.items() for kind in several - blocks]
    assert [(rule, kind) for rule, kind in kinds if f'"{kind}"' not in texts[rule]] == []
    assert len({rule.id for rule in policy.rules()}) == len(policy.rules())
    assert all(rule.reason and rule.fix and rule.title for rule in policy.rules())


def test_a_missing_lock_file_is_a_version_that_is_not_pinned(tmp_path: Path) -> None:
    root, variables = folder(tmp_path, GOOD)
    (root / ".terraform.lock.hcl").unlink()
    assert broken(policy.judge(None, root, variables)) == {"SLW-TF-02"}


def test_tags_of_a_plan(tmp_path: Path) -> None:
    folder(tmp_path, GOOD)

    def with_tags(**tags: str) -> set[str]:
        inside = {"actions": ["create"], "after": {"tags_all": tags}}
        one = {"address": "aws_vpc.a", "type": "aws_vpc", "name": "a", "change": inside}
        return broken(policy.judge(Plan.model_validate({"format_version": "1.2", "resource_changes": [one]}), tmp_path))

    assert with_tags(owner="o", environment="e") == {"SLW-TAG-01"}
    assert with_tags(owner="o", environment="e", commit="c") == set()


def test_the_worst_stands_first_and_names_the_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = text_says(tmp_path, resource("aws_db_instance", "publicly_accessible = true"), protected=False)
    policy.show(found.violations)
    said = capsys.readouterr().out
    assert said.startswith("CRITICAL SLW-RDS-01 aws_db_instance.this (main.tf): database with a public address")
    assert "fix: publicly_accessible = false" in said


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["local", "staging", "production"])
def test_our_own_root_keeps_every_rule(environment: str) -> None:
    root = paths.ROOT / "infra" / "terraform"
    found = policy.judge(None, root, root / "environments" / f"{environment}.tfvars", environment)
    assert [(one.rule, one.address) for one in found.violations] == []
    assert found.asked > 200
