"""Files and plans that the rules for AWS are asked of, and what they answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.lib.gates import waivers
from tasks.lib.gates.waivers import Waiver, Waivers
from tasks.lib.infra import configuration, policy
from tasks.lib.infra.planfile import Plan
from tasks.lib.infra.policy import Judged

GOOD = """
terraform {
  required_version = "~> 1.11"
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
"""

TRUST = (
    'assume_role_policy = jsonencode({ Statement = [{ Effect = "Allow", Principal = %s, Action = "sts:AssumeRole" }] })'
)
POLICY = 'policy = jsonencode({ Statement = [{ Effect = "Allow", Action = %s, Resource = "*" }] })'


def resource(kind: str, *lines: str) -> str:
    return "\n".join([f'resource "{kind}" "this" {{', *lines, "}", ""])


BUCKET = resource("aws_s3_bucket", 'bucket = "b"')
ASKED = 'variable "open" {\n  default = %s\n}\n' + resource("aws_db_instance", "publicly_accessible = var.open")


def guarded(kind: str, *lines: str) -> str:
    return BUCKET + resource(kind, "bucket = aws_s3_bucket.this.id", *lines)


BLOCKS = ("block_public_acls = true", "block_public_policy = true", "ignore_public_acls = true")
ENCRYPTED = 'rule {\n apply_server_side_encryption_by_default {\n sse_algorithm = "aws:kms"\n }\n}'


def accept(monkeypatch: pytest.MonkeyPatch, *found: Waiver) -> None:
    monkeypatch.setattr(waivers, "load", lambda: Waivers(waivers=list(found)))


def folder(path: Path, text: str, protected: bool = True) -> tuple[Path, Path]:
    path.mkdir(parents=True, exist_ok=True)
    (path / "main.tf").write_text(text if "required_version" in text or "backend" in text else GOOD + text)
    (path / ".terraform.lock.hcl").write_text("")
    variables = path / "test.tfvars"
    variables.write_text(f"protected = {str(protected).lower()}\n")
    return path, variables


def text_says(path: Path, text: str, protected: bool = True) -> Judged:
    return policy.judge(None, *folder(path, text, protected))


def planned(path: Path, text: str, protected: bool = True, **more: Any) -> Plan:
    """The plan that Terraform would make of plain resources: values as they stand, references beside them."""
    root, _ = folder(path, text, protected)
    changes, expressions = [], []
    for block in configuration.read(root):
        if block.type in ("terraform", "provider", "variable", "module"):
            continue
        references = {name: found for name, value in block.values.items() if (found := configuration.references(value))}
        values = {name: configuration_json(value) for name, value in block.values.items() if name not in references}
        unknown = dict.fromkeys(references, True)
        inside = {"actions": ["create"], "after": values, "after_unknown": unknown}
        kind, mode = block.type.removeprefix("data."), "data" if block.type.startswith("data.") else "managed"
        change = {"address": block.address, "type": kind, "name": block.name, "mode": mode, "change": inside}
        changes.append(change)
        refer = {name: {"references": found} for name, found in references.items()}
        expressions.append({"address": block.address, "expressions": refer})
    return Plan.model_validate(
        {
            "format_version": "1.2",
            "resource_changes": changes,
            "variables": {"protected": {"value": protected}, "environment": {"value": "staging"}},
            "configuration": {"root_module": {"resources": expressions}},
            **more,
        }
    )


def configuration_json(value: Any) -> Any:
    """jsonencode is text in a plan."""
    return json.dumps(value) if isinstance(value, dict) and "Statement" in value else value


def broken(judged: Judged) -> set[str]:
    return {one.rule for one in judged.violations}
