"""What is read of Terraform's plans, and what is never kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.infra import gitlab_report, planfile
from tasks.lib.infra.masking import SENSITIVE, UNKNOWN
from tasks.lib.infra.planfile import Action, Plan

PLANS = Path(__file__).parent / "plans"  # made by terraform show -json of Terraform 1.11.4
SECRETS = ("Tr0ub4dor-and-3", "correct-horse-battery", "hunter2-token")


def real(name: str) -> Plan:
    return planfile.read((PLANS / f"{name}.json").read_text(encoding="utf-8"))


def made(*changes: dict[str, Any], **more: Any) -> Plan:
    return Plan.model_validate({"format_version": "1.2", "resource_changes": list(changes), **more})


def change(address: str, *actions: str, **inside: Any) -> dict[str, Any]:
    kind, name = address.split(".")[-2:]
    return {"address": address, "type": kind, "name": name, "change": {"actions": list(actions), **inside}}


def test_every_action_of_terraform() -> None:
    def action(*words: str) -> Action:
        return made(change("aws_vpc.a", *words)).changes[0].action

    one = {word: action(word) for word in ("create", "update", "delete", "forget", "read", "no-op")}
    assert {word: found.value for word, found in one.items()} == {word: word for word in one}
    assert action("delete", "create") is Action.REPLACE
    assert made(change("aws_vpc.a", "create", "delete")).changes[0].before_destroy


def test_a_real_plan_that_replaces_and_destroys() -> None:
    plan = real("change")
    acting = {one.address: one.action.value for one in plan.acting}
    assert acting == {
        "aws_db_instance.main": "replace",
        "aws_instance.bastion": "update",
        "aws_kms_key.data": "delete",
        "aws_sqs_queue.events[0]": "create",
        "aws_sqs_queue.events[1]": "create",
    }
    database = next(one for one in plan.changes if one.address == "aws_db_instance.main")
    assert (database.forced_by, database.reason) == (["db_name"], "AWS cannot change this in place")
    assert [one.address for one in plan.losses] == ["aws_db_instance.main", "aws_kms_key.data"]
    assert plan.counts == {Action.REPLACE: 1, Action.UPDATE: 1, Action.DELETE: 1, Action.CREATE: 2}
    assert not plan.empty


@pytest.mark.parametrize("name", ["create", "change"])
def test_gitlabs_counts_are_those_of_its_own_filter(name: str) -> None:
    """Its documentation counts the words in all `actions`, flattened."""
    changes = json.loads((PLANS / f"{name}.json").read_text(encoding="utf-8"))["resource_changes"]
    words = [word for one in changes for word in one["change"]["actions"]]
    assert gitlab_report.of(real(name)) == {word: words.count(word) for word in ("create", "update", "delete")}


def test_gitlab_gets_three_counts_and_a_replacement_counts_twice() -> None:
    assert gitlab_report.of(real("change")) == {"create": 3, "update": 1, "delete": 2}
    assert gitlab_report.of(real("create")) == {"create": 6, "update": 0, "delete": 0}
    assert gitlab_report.of(made()) == {"create": 0, "update": 0, "delete": 0}


@pytest.mark.parametrize("name", ["create", "change"])
def test_no_secret_of_a_real_plan_is_kept(name: str) -> None:
    text = (PLANS / f"{name}.json").read_text(encoding="utf-8")
    assert any(secret in text for secret in SECRETS)
    plan = planfile.read(text)
    kept = plan.model_dump_json() + repr(plan)
    assert not [secret for secret in SECRETS if secret in kept]
    database = next(one for one in plan.changes if one.type == "aws_db_instance")
    assert database.after["password"] == SENSITIVE
    assert "password" in database.changed or name == "create"


@pytest.mark.parametrize("side", ["before_sensitive", "after_sensitive"])
def test_what_is_sensitive_on_one_side_is_masked_on_both(side: str) -> None:
    inside = {"before": {"a": [{"b": "old-one"}]}, "after": {"a": [{"b": "new-one"}]}, side: {"a": [{"b": True}]}}
    found = made(change("aws_x.y", "update", **inside)).changes[0]
    assert found.before == found.after == {"a": [{"b": SENSITIVE}]}
    assert found.changed == ["a"]


@pytest.mark.parametrize("name", ["password", "master_password", "secret_string", "private_key_pem", "auth_token"])
def test_what_a_provider_forgot_to_mark_is_masked_by_its_name(name: str) -> None:
    found = made(change("aws_x.y", "create", after={name: "hunter2", "manage_master_user_password": True})).changes[0]
    assert found.after == {name: SENSITIVE, "manage_master_user_password": True}


def test_drift_and_whole_marks_are_masked_too() -> None:
    drifted = change(
        "aws_x.y", "update", before={"a": "secret-1"}, after={"a": "secret-2"}, after_sensitive={"a": True}
    )
    plan = made(resource_drift=[drifted])
    assert plan.drift[0].changed == ["a"]
    assert "secret-" not in plan.model_dump_json()


def test_only_three_variables_are_kept_and_only_in_their_form() -> None:
    given = {"environment": "staging", "region": "eu-central-1", "protected": True, "token": "hunter2"}
    plan = made(variables={name: {"value": value} for name, value in given.items()})
    assert plan.facts.model_dump() == {"environment": "staging", "region": "eu-central-1", "protected": True}
    odd = made(variables={"environment": {"value": "My Secret: hunter2"}, "protected": {"value": "yes"}})
    assert odd.facts == planfile.Facts()


def test_unknown_values_are_marked_and_what_does_not_change_is_not_a_change() -> None:
    inside = {"before": {"id": "1", "tags": {"a": "b"}}, "after": {"tags": {"a": "b"}}, "after_unknown": {"id": True}}
    found = made(change("aws_x.y", "update", **inside)).changes[0]
    assert (found.after["id"], found.changed) == (UNKNOWN, ["id"])


def test_a_model_of_a_model_is_the_same() -> None:
    plan = real("change")
    assert Plan.model_validate(plan.model_dump()) == plan


def test_nothing_to_do_is_empty_but_a_new_output_is_not() -> None:
    still = change("aws_vpc.a", "no-op", before={"a": 1}, after={"a": 1})
    assert made(still, output_changes={"o": {"actions": ["no-op"]}}).empty
    assert not made(still, output_changes={"o": {"actions": ["update"], "after": "hunter2"}}).empty


def test_where_values_come_from_is_known_also_in_nested_blocks_and_modules() -> None:
    inner = {
        "resources": [
            {
                "address": "aws_x.y",
                "expressions": {"a": {"references": ["var.b"]}, "c": [{"d": {"references": ["e.f"]}}]},
            }
        ]
    }
    plan = made(configuration={"root_module": {"module_calls": {"m": {"module": inner}}}})
    found = [(one.address, one.attribute, one.targets) for one in plan.references]
    assert found == [("module.m.aws_x.y", "a", ["var.b"]), ("module.m.aws_x.y", "c", ["e.f"])]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hunter2", "no JSON at line 1"),
        ("[]", "the whole of it"),
        ("{}", "format_version"),
        ('{"format_version": "2.0"}', "format_version"),
        ('{"format_version": "1.2", "resource_changes": [{"address": "a", "type": "t"}]}', "action"),
        (json.dumps({"format_version": "1.2", "resource_changes": [change("a.b", "hunter2")]}), "action"),
    ],
)
def test_what_is_no_plan_is_one_sentence_without_its_values(text: str, says: str) -> None:
    with pytest.raises(Stop) as stopped:
        planfile.read(text)
    assert stopped.value.code == Code.COULD_NOT_RUN
    assert says in str(stopped.value)
    assert "hunter2" not in str(stopped.value)


def test_an_error_of_the_model_never_repeats_a_value() -> None:
    with pytest.raises(ValueError, match="format_version") as refused:
        Plan.model_validate({"format_version": "hunter2"})
    assert "hunter2" not in str(refused.value)
