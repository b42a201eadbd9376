"""What a plan says against what the text says, and what neither knows yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.lib.infra import policy
from tasks.lib.infra.planfile import Plan
from tests.infra.policy_world import (
    ASKED,
    BUCKET,
    GOOD,
    broken,
    folder,
    guarded,
    planned,
    resource,
    text_says,
)
from tests.infra.test_planfile import real

pytestmark = pytest.mark.usefixtures("no_waivers")


CLOSED = {"publicly_accessible": False, "storage_encrypted": True, "manage_master_user_password": True}


def of_one(after: dict[str, Any] | None, *actions: str, **more: Any) -> Plan:
    inside = {"actions": list(actions or ("create",)), "after": after}
    one = {"address": "aws_db_instance.this", "type": "aws_db_instance", "name": "this", "change": inside}
    return Plan.model_validate({"format_version": "1.2", "resource_changes": [one], **more})


@pytest.mark.parametrize("public", [True, False])
def test_what_the_plan_shows_wins_over_the_text(public: bool, tmp_path: Path) -> None:
    root, _ = folder(tmp_path, ASKED % str(not public).lower())
    assert ("SLW-RDS-01" in broken(policy.judge(None, root))) is not public
    plan = of_one({**CLOSED, "publicly_accessible": public})
    assert ("SLW-RDS-01" in broken(policy.judge(plan, root))) is public


def test_what_a_plan_takes_away_or_never_makes_is_not_judged(tmp_path: Path) -> None:
    root, _ = folder(tmp_path, ASKED % "true")
    assert not broken(policy.judge(of_one(None, "delete"), root))
    assert not broken(policy.judge(Plan(format_version="1.2"), root))


def test_the_text_speaks_for_what_a_targeted_plan_leaves_out(tmp_path: Path) -> None:
    root, _ = folder(tmp_path, ASKED % "true")
    assert "SLW-RDS-01" in broken(policy.judge(Plan(format_version="1.2", complete=False), root))


def test_a_secret_in_the_text_is_found_although_the_plan_masks_it(tmp_path: Path) -> None:
    root, _ = folder(
        tmp_path, resource("aws_db_instance", 'password = "hunter2"', "manage_master_user_password = true")
    )
    found = policy.judge(of_one({**CLOSED, "password": "hunter2"}), root)
    assert broken(found) == {"SLW-SEC-01", "SLW-RDS-03"}
    assert "hunter2" not in found.model_dump_json()


def test_deletion_protection_is_asked_of_protected_environments_only(tmp_path: Path) -> None:
    text = resource("aws_db_instance", 'engine = "postgres"')
    assert "SLW-DEL-01" in broken(text_says(tmp_path, text, protected=True))
    assert "SLW-DEL-01" not in broken(text_says(tmp_path, text, protected=False))
    assert "SLW-DEL-01" in broken(policy.judge(planned(tmp_path, text, protected=True), tmp_path))
    assert "SLW-DEL-01" not in broken(policy.judge(planned(tmp_path, text, protected=False), tmp_path))


# What is not known.
def test_what_only_the_apply_will_tell_is_open_and_not_guessed(tmp_path: Path) -> None:
    text = 'variable "encrypted" {}\n' + resource("aws_db_instance", "storage_encrypted = var.encrypted")
    found = text_says(tmp_path, text)
    assert ("SLW-RDS-02", "aws_db_instance.this") in {(one.rule, one.address) for one in found.open}
    assert "SLW-RDS-02" not in broken(found)


def test_an_open_range_among_unknown_ones_is_broken_for_sure(tmp_path: Path) -> None:
    text = 'variable "office" {}\n' + resource(
        "aws_security_group_rule", 'type = "ingress"', 'cidr_blocks = [var.office, "0.0.0.0/0"]'
    )
    assert "SLW-NET-01" in broken(text_says(tmp_path, text))


def test_where_the_plan_shows_nothing_the_text_speaks(tmp_path: Path) -> None:
    statement = 'Effect = "Allow", Action = "%s", Resource = aws_s3_bucket.b.arn'
    text = resource("aws_iam_role_policy", f"policy = jsonencode({{ Statement = [{{ {statement} }}] }})")
    good, bad = tmp_path / "good", tmp_path / "bad"
    kept = policy.judge(planned(good, text % "s3:GetObject"), good)
    assert "SLW-IAM-01" not in broken(kept) | {one.rule for one in kept.open}
    assert "SLW-IAM-01" in broken(policy.judge(planned(bad, text % "*"), bad))


@pytest.mark.parametrize(
    ("name", "rule", "address"),
    [
        ("create", "SLW-EKS-01", "aws_eks_cluster.main"),  # public, and AWS chooses from where: from everywhere
        ("create", "SLW-EC2-02", "aws_instance.bastion"),
        ("change", "SLW-SQS-01", "aws_sqs_queue.events[1]"),
    ],
)
def test_what_nobody_wrote_fulfils_nothing_in_a_real_plan(name: str, rule: str, address: str, tmp_path: Path) -> None:
    root, _ = folder(tmp_path, GOOD)
    found = policy.judge(real(name), root)
    assert (rule, address) in {(one.rule, one.address) for one in found.violations}


def test_a_companion_that_is_for_something_unknown_leaves_it_open(tmp_path: Path) -> None:
    text = (
        BUCKET
        + 'variable "name" {}\n'
        + resource(
            "aws_s3_bucket_versioning", "bucket = var.name", 'versioning_configuration {\n status = "Enabled"\n}'
        )
    )
    found = text_says(tmp_path, text)
    assert "SLW-S3-02" in {one.rule for one in found.open}
    assert "SLW-S3-02" not in broken(found)


def test_a_companion_of_another_bucket_does_not_count(tmp_path: Path) -> None:
    other = 'resource "aws_s3_bucket" "other" {\n  bucket = "o"\n}\n'
    text = guarded("aws_s3_bucket_versioning", 'versioning_configuration {\n status = "Enabled"\n}') + other
    without = {one.address for one in text_says(tmp_path, text).violations if one.rule == "SLW-S3-02"}
    assert without == {"aws_s3_bucket.other"}


def test_of_several_buckets_each_needs_a_companion_of_its_own(tmp_path: Path) -> None:
    """A plan names the instances; the configuration says for all of them at once what they refer to."""
    root, variables = folder(tmp_path, "")
    kinds = ("aws_s3_bucket", "one"), ("aws_s3_bucket", "two"), ("aws_s3_bucket_versioning", "one")
    on = {"versioning_configuration": [{"status": "Enabled"}]}
    inside = {"actions": ["create"], "after": on, "after_unknown": {"bucket": True}}
    changes = [{"address": f'{kind}.this["{key}"]', "type": kind, "change": inside} for kind, key in kinds]
    refer = {"bucket": {"references": ["aws_s3_bucket.this", "each.key"]}}
    expressions = [{"address": "aws_s3_bucket_versioning.this", "expressions": refer}]
    configured = {"root_module": {"resources": expressions}}
    plan = Plan.model_validate({"format_version": "1.2", "resource_changes": changes, "configuration": configured})
    found = policy.judge(plan, root, variables)
    assert {one.address for one in found.violations if one.rule == "SLW-S3-02"} == {'aws_s3_bucket.this["two"]'}
