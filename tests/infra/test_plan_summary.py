"""What a person reads of a plan: golden texts, and what must never be in them."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.lib.infra import plan_summary, prices
from tests.infra.test_planfile import SECRETS, change, made, real

CHANGE = """\
The plan: 2 to create, 1 to change, 1 to replace, 1 to destroy
REPLACE aws_db_instance.main: the database is lost, made anew and empty (AWS cannot change this in place; forced by db_name)
DESTROY aws_kms_key.data: the key, and all that it encrypts, is lost (no longer in the configuration)
action       resource                 what
destroy (!)  aws_kms_key.data         no longer in the configuration
replace (!)  aws_db_instance.main     AWS cannot change this in place; forced by db_name
change       aws_instance.bastion     instance_type: t3.micro → t3.small, metadata_options, monitoring: none → true
create       aws_sqs_queue.events[0]
create       aws_sqs_queue.events[1]
Outputs that change: password, region
"""  # noqa: E501 - as it is printed


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines())


def test_golden(capsys: pytest.CaptureFixture[str]) -> None:
    plan_summary.show(real("change"))
    assert shown(capsys) == CHANGE


def test_golden_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    plan_summary.show(made(change("aws_vpc.a", "no-op")))
    assert shown(capsys) == "The plan changes nothing\n"


@pytest.mark.parametrize("name", ["create", "change"])
def test_nothing_sensitive_is_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = real(name)
    plan_summary.show(plan, prices.estimate(plan))
    text = shown(capsys)
    assert "aws_db_instance.main" in text
    assert "USD per month" in text
    assert not [secret for secret in SECRETS if secret in text]


def test_a_changed_password_is_named_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    inside = {
        "before": {"password": "hunter2"},
        "after": {"password": "hunter3"},
        "after_sensitive": {"password": True},
    }
    plan_summary.show(made(change("aws_db_instance.main", "update", **inside)))
    text = shown(capsys)
    assert "password: (sensitive) → (sensitive)" in text
    assert "hunter" not in text


def test_dangerous_changes_stand_above_everything_else() -> None:
    plan = made(
        change("aws_vpc.a", "create"),
        change("aws_subnet.a", "delete"),
        change("aws_vpc.b", "update", before={"a": 1}, after={"a": 2}),
        change("aws_s3_bucket.a", "delete", "create"),
        change("aws_ebs_volume.a", "delete"),
    )
    order = [one.address for one in plan_summary.ordered(plan.acting)]
    assert order == ["aws_ebs_volume.a", "aws_s3_bucket.a", "aws_subnet.a", "aws_vpc.b", "aws_vpc.a"]


@pytest.mark.parametrize(
    "kind",
    ["db_instance", "s3_bucket", "ebs_volume", "kms_key", "eks_cluster", "ecr_repository", "dynamodb_table"],
)
@pytest.mark.parametrize("actions", [("delete",), ("delete", "create"), ("create", "delete")])
def test_each_stateful_type_is_named_when_it_goes(kind: str, actions: tuple[str, ...]) -> None:
    plan = made(change(f"module.m.aws_{kind}.this", *actions))
    assert [one.address for one in plan.losses] == [f"module.m.aws_{kind}.this"]
    assert plan_summary.danger(plan.losses[0]).startswith(("DESTROY module.m.", "REPLACE module.m."))
    assert not made(change(f"aws_{kind}.this", "update")).losses


def test_many_new_resources_are_counted_by_module_and_the_rest_is_named() -> None:
    def one(name: str, *actions: str) -> dict[str, Any]:
        return {**change(f"module.m.{name}", *actions), "module_address": "module.m"}

    new = [one(f"aws_subnet.s{number}", "create") for number in range(20)]
    assert len(plan_summary.rows(made(*new).acting)) == 20
    several = made(*new, one("aws_vpc.v", "create"), change("aws_vpc.w", "create"), one("aws_eip.e", "delete"))
    assert plan_summary.rows(several.acting) == [
        ("destroy", "module.m.aws_eip.e", ""),
        ("create", "the root", "vpc"),
        ("create", "module.m", "20 subnet, vpc"),
    ]


def test_addresses_and_values_cannot_write_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    inside = {"before": {"a": "x"}, "after": {"a": "\x1b[2Jgone\nnext"}}
    plan_summary.show(made(change('aws_x.y["\x1b[31m"]', "update", **inside)))
    assert "\x1b" not in capsys.readouterr().out


def test_what_terraform_could_not_finish_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    plan_summary.show(made(complete=False))
    assert "more to come" in capsys.readouterr().out
