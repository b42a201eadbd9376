"""The policies in docs/aws.md: JSON that holds, with every action that the code calls and none that it does not."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import xform_name

from tasks.lib import paths

DOCUMENT = Path(__file__).parents[2] / "docs" / "aws.md"
ACTION = re.compile(r"(ecr|eks|sts):[A-Z][A-Za-z]+")
# What Docker's clients do over ECR's own protocol; AWS asks these permissions for it.
DATA_PLANE = {
    "BatchCheckLayerAvailability",
    "BatchGetImage",
    "CompleteLayerUpload",
    "GetDownloadUrlForLayer",
    "InitiateLayerUpload",
    "ListImages",
    "PutImage",
    "UploadLayerPart",
}


def policies() -> list[dict[str, Any]]:
    blocks = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [json.loads(block) for block in blocks]


def statements() -> list[dict[str, Any]]:
    return [statement for policy in policies() for statement in policy["Statement"]]


def allowed() -> set[str]:
    found = [action for one in statements() for action in _list(one["Action"])]
    assert len(found) == len(set(found))
    return set(found)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def called(service: str) -> set[str]:
    """The operations of a service that the code calls: as methods of a client, or by name for a paginator."""
    client = boto3.client(service, region_name="us-east-1")  # its model; nothing is asked
    names = {xform_name(name): name for name in client.meta.service_model.operation_names}
    files = sorted((paths.ROOT / "tasks/lib/aws").glob("*.py"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    found = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute) and node.attr in names:
            found.add(names[node.attr])
        if isinstance(node, ast.Constant) and node.value in names:
            found.add(names[node.value])
    return found


def test_there_are_policies() -> None:
    assert len(policies()) == 3
    assert all(policy["Version"] == "2012-10-17" and policy["Statement"] for policy in policies())
    assert all(ACTION.fullmatch(action) for action in allowed())


@pytest.mark.parametrize("service", ["ecr", "eks"])
@pytest.mark.slow
def test_every_call_is_allowed_and_nothing_else(service: str) -> None:
    here = {action.partition(":")[2] for action in allowed() if action.startswith(f"{service}:")}
    asked = called(service)
    assert asked
    assert here == asked | (DATA_PLANE if service == "ecr" else set())


def test_only_what_cannot_be_narrowed_is_for_every_resource() -> None:
    wide = [one["Sid"] for one in statements() if one.get("Resource") == "*"]
    assert wide == ["Login"]
    assert not [one for one in statements() if "*" in json.dumps(one["Action"])]


def test_the_role_is_bound_to_a_project_and_branch() -> None:
    (trust,) = [one for one in statements() if "Principal" in one]
    assert trust["Condition"]["StringEquals"]["gitlab.com:sub"].startswith("project_path:")
    assert "*" not in json.dumps(trust)
