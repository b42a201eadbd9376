"""Every rule with a file that breaks it and one that keeps it, asked of the text and of a plan; waivers; who wins."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.lib import paths
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import waivers
from tasks.lib.gates.waivers import Waiver, Waivers
from tasks.lib.infra import configuration, policy
from tasks.lib.infra.planfile import Plan
from tasks.lib.infra.policy import Judged
from tests.infra.test_planfile import real

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


def guarded(kind: str, *lines: str) -> str:
    return BUCKET + resource(kind, "bucket = aws_s3_bucket.this.id", *lines)


BLOCKS = ("block_public_acls = true", "block_public_policy = true", "ignore_public_acls = true")
ENCRYPTED = 'rule {\n apply_server_side_encryption_by_default {\n sse_algorithm = "aws:kms"\n }\n}'

# rule: what breaks it, what keeps it
CASES: list[tuple[str, str, str]] = [
    (
        "SLW-NET-01",
        resource("aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "0.0.0.0/0"', "from_port = 443", "to_port = 443"),
        resource(
            "aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "10.0.0.0/16"', "from_port = 443", "to_port = 443"
        ),
    ),
    (
        "SLW-NET-01",
        resource("aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "128.0.0.0/1"'),
        resource("aws_vpc_security_group_ingress_rule", 'referenced_security_group_id = "sg-1"'),
    ),
    (
        "SLW-NET-01",
        resource("aws_security_group", 'ingress {\n from_port = 443\n to_port = 443\n ipv6_cidr_blocks = ["::/0"]\n}'),
        resource("aws_security_group", 'egress {\n from_port = 443\n to_port = 443\n cidr_blocks = ["0.0.0.0/0"]\n}'),
    ),
    (
        "SLW-NET-01",
        resource("aws_security_group_rule", 'type = "ingress"', 'cidr_blocks = ["10.0.0.0/8", "0.0.0.0/0"]'),
        resource("aws_security_group_rule", 'type = "egress"', 'cidr_blocks = ["0.0.0.0/0"]'),
    ),
    (
        "SLW-NET-02",
        resource("aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "10.0.0.0/16"', "from_port = 20", "to_port = 30"),
        resource("aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "10.0.0.0/16"', "from_port = 23", "to_port = 80"),
    ),
    (
        "SLW-NET-02",
        resource("aws_security_group", 'ingress {\n from_port = "22"\n to_port = "22"\n self = true\n}'),
        resource("aws_security_group", "ingress {\n from_port = 5432\n to_port = 5432\n self = true\n}"),
    ),
    (
        "SLW-RDS-01",
        resource("aws_db_instance", "publicly_accessible = true"),
        resource("aws_db_instance", "publicly_accessible = false"),
    ),
    (
        "SLW-RDS-02",
        resource("aws_db_instance", 'engine = "postgres"'),
        resource("aws_db_instance", "storage_encrypted = true"),
    ),
    (
        "SLW-RDS-03",
        resource("aws_db_instance", 'engine = "postgres"'),
        resource("aws_db_instance", "manage_master_user_password = true"),
    ),
    (
        "SLW-S3-01",
        guarded("aws_s3_bucket_public_access_block", *BLOCKS),
        guarded("aws_s3_bucket_public_access_block", *BLOCKS, "restrict_public_buckets = true"),
    ),
    ("SLW-S3-01", BUCKET, guarded("aws_s3_bucket_public_access_block", *BLOCKS, "restrict_public_buckets = true")),
    (
        "SLW-S3-02",
        guarded("aws_s3_bucket_versioning", 'versioning_configuration {\n status = "Suspended"\n}'),
        guarded("aws_s3_bucket_versioning", 'versioning_configuration {\n status = "Enabled"\n}'),
    ),
    ("SLW-S3-03", BUCKET, guarded("aws_s3_bucket_server_side_encryption_configuration", ENCRYPTED)),
    (
        "SLW-EC2-01",
        resource("aws_instance", 'metadata_options {\n http_tokens = "optional"\n}'),
        resource("aws_instance", 'metadata_options {\n http_tokens = "required"\n}'),
    ),
    (
        "SLW-EC2-01",
        resource("aws_launch_template", 'name = "n"'),
        resource("aws_launch_template", 'metadata_options {\n http_tokens = "required"\n}'),
    ),
    (
        "SLW-EC2-02",
        resource("aws_instance", "root_block_device {\n encrypted = false\n}"),
        resource("aws_instance", "root_block_device {\n encrypted = true\n}"),
    ),
    (
        "SLW-EC2-02",
        resource("aws_launch_template", "block_device_mappings {\n ebs {\n volume_size = 8\n }\n}"),
        resource("aws_launch_template", 'block_device_mappings {\n ebs {\n encrypted = "true"\n }\n}'),
    ),
    (
        "SLW-ECR-01",
        resource("aws_ecr_repository", 'name = "r"'),
        resource("aws_ecr_repository", 'image_tag_mutability = "IMMUTABLE"'),
    ),
    (
        "SLW-ECR-02",
        resource("aws_ecr_repository", "image_scanning_configuration {\n scan_on_push = false\n}"),
        resource("aws_ecr_repository", "image_scanning_configuration {\n scan_on_push = true\n}"),
    ),
    (
        "SLW-EKS-01",
        resource("aws_eks_cluster", 'vpc_config {\n subnet_ids = ["s"]\n}'),
        resource("aws_eks_cluster", "vpc_config {\n endpoint_public_access = false\n}"),
    ),
    (
        "SLW-EKS-01",
        resource("aws_eks_cluster", 'vpc_config {\n public_access_cidrs = ["203.0.113.7/32", "0.0.0.0/0"]\n}'),
        resource("aws_eks_cluster", 'vpc_config {\n public_access_cidrs = ["203.0.113.7/32"]\n}'),
    ),
    (
        "SLW-EKS-02",
        resource("aws_eks_cluster", 'name = "n"'),
        resource("aws_eks_cluster", 'encryption_config {\n resources = ["secrets"]\n}'),
    ),
    (
        "SLW-DEL-01",
        resource("aws_db_instance", 'engine = "postgres"'),
        resource("aws_db_instance", "deletion_protection = true"),
    ),
    (
        "SLW-DEL-02",
        resource("aws_s3_bucket", "force_destroy = true"),
        resource("aws_s3_bucket", "force_destroy = false"),
    ),
    (
        "SLW-DEL-02",
        resource("aws_ecr_repository", "force_delete = true"),
        resource("aws_ecr_repository", 'name = "r"'),
    ),
    ("SLW-KMS-01", resource("aws_kms_key", 'description = "d"'), resource("aws_kms_key", "enable_key_rotation = true")),
    (
        "SLW-SQS-01",
        resource("aws_sqs_queue", 'name = "q"'),
        resource("aws_sqs_queue", "sqs_managed_sse_enabled = true"),
    ),
    (
        "SLW-IAM-01",
        resource("aws_iam_role_policy", POLICY % '["s3:GetObject", "*"]'),
        resource("aws_iam_role_policy", POLICY % '["s3:GetObject"]'),
    ),
    ("SLW-IAM-01", resource("aws_iam_policy", POLICY % '"*:*"'), resource("aws_iam_policy", POLICY % '"kms:*"')),
    (
        "SLW-IAM-01",
        resource("aws_iam_role_policy_attachment", 'policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess"'),
        resource("aws_iam_role_policy_attachment", 'policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"'),
    ),
    (
        "SLW-IAM-02",
        resource("aws_iam_role", TRUST % '{ AWS = "*" }'),
        resource("aws_iam_role", TRUST % '{ Service = "eks.amazonaws.com" }'),
    ),
    (
        "SLW-IAM-02",
        resource("aws_s3_bucket_policy", (POLICY % '"s3:*"').replace("Action =", 'Principal = "*", Action =')),
        resource("aws_s3_bucket_policy", (POLICY % '"s3:*"').replace('"Allow"', '"Deny", Principal = "*"')),
    ),
    (
        "SLW-NET-02",
        resource("aws_security_group_rule", 'type = "ingress"', "from_port = 3389", "to_port = 3389", "self = true"),
        resource("aws_security_group_rule", 'type = "egress"', "from_port = 22", "to_port = 22"),
    ),
    (
        "SLW-RDS-03",
        resource("aws_db_instance", "manage_master_user_password = true", "password = var.secret"),
        resource("aws_db_instance", 'replicate_source_db = "other"'),
    ),
    (
        "SLW-RDS-03",
        resource("aws_rds_cluster", "manage_master_user_password = true", "master_password = var.secret"),
        resource("aws_rds_cluster", "manage_master_user_password = true"),
    ),
    ("SLW-EC2-02", resource("aws_ebs_volume", "size = 8"), resource("aws_ebs_volume", "encrypted = true")),
    (
        "SLW-DEL-02",
        resource("aws_db_instance", "skip_final_snapshot = true"),
        resource("aws_db_instance", "skip_final_snapshot = false"),
    ),
    (
        "SLW-IAM-01",
        resource("aws_iam_policy_document", 'statement {\n actions = ["*"]\n}').replace("resource", "data", 1),
        resource("aws_iam_policy_document", 'statement {\n effect = "Deny"\n actions = ["*"]\n}').replace(
            "resource", "data", 1
        ),
    ),
    ("SLW-IAM-03", resource("aws_iam_access_key", 'user = "u"'), resource("aws_iam_user", 'name = "u"')),
    ("SLW-SEC-02", resource("tls_private_key", 'algorithm = "ED25519"'), resource("aws_key_pair", 'public_key = "p"')),
]

# Types that have the same attributes as one above.
ALIKE = [
    ("aws_security_group", "aws_default_security_group"),
    ("aws_db_instance", "aws_rds_cluster"),
    ("aws_db_instance", "aws_rds_cluster_instance"),
    ("aws_iam_policy", "aws_iam_user_policy"),
    ("aws_iam_policy", "aws_iam_group_policy"),
    ("aws_iam_role_policy_attachment", "aws_iam_user_policy_attachment"),
    ("aws_iam_role_policy_attachment", "aws_iam_group_policy_attachment"),
    ("aws_s3_bucket_policy", "aws_sqs_queue_policy"),
    ("aws_s3_bucket_policy", "aws_ecr_repository_policy"),
    ("aws_s3_bucket_policy", "aws_kms_key"),
]
TYPES = {rule.id: {kind for check in rule.checks for kind in check.on} for rule in policy.rules()}
CASES += [
    (rule, bad.replace(f'"{one}"', f'"{other}"'), good.replace(f'"{one}"', f'"{other}"'))
    for rule, bad, good in CASES
    for one, other in ALIKE
    if f'"{one}"' in bad and other in TYPES[rule] and "replicate_source_db" not in good
]

TEXT_CASES: list[tuple[str, str, str]] = [
    (
        "SLW-SEC-01",
        resource("aws_db_instance", 'password = "hunter2"'),
        resource("aws_db_instance", "password = var.database_password"),
    ),
    (
        "SLW-SEC-01",
        'variable "database_password" {\n  default = "hunter2"\n}\n',
        'variable "database_password" {\n  sensitive = true\n}\n',
    ),
    (
        "SLW-SEC-01",
        'provider "aws" {\n  secret_key = "hunter2"\n  default_tags { \n tags = { a = "b" }\n }\n}\n',
        'provider "aws" {\n  region = "us-east-1"\n}\n',
    ),
    (
        "SLW-SEC-01",
        resource("aws_instance", "user_data = <<-EOT", "  -----BEGIN RSA PRIVATE KEY-----", "EOT"),
        resource("aws_instance", "monitoring = true"),
    ),
    (
        "SLW-TAG-01",
        'provider "aws" {\n  default_tags {\n    tags = { owner = "o" }\n  }\n}\n',
        'locals {\n  t = { owner = "o", environment = "e", commit = "c" }\n}\n'
        'provider "aws" {\n  default_tags {\n    tags = local.t\n  }\n}\n',
    ),
    ("SLW-TF-01", GOOD.replace("encrypt      = true", "encrypt      = false"), GOOD),
    ("SLW-TF-01", GOOD.replace("use_lockfile = true", ""), GOOD),
    ("SLW-TF-01", GOOD.replace('"s3"', '"local"'), GOOD),
    ("SLW-TF-02", GOOD.replace('"5.100.0"', '">= 5.0"'), GOOD),
    ("SLW-TF-02", GOOD.replace('required_version = "~> 1.11"', ""), GOOD),
    (
        "SLW-TF-03",
        'module "vpc" {\n  source = "terraform-aws-modules/vpc/aws"\n  version = ">= 5"\n}\n',
        'module "vpc" {\n  source = "terraform-aws-modules/vpc/aws"\n  version = "5.1.2"\n}\n',
    ),
]


@pytest.fixture(autouse=True)
def no_waivers(monkeypatch: pytest.MonkeyPatch) -> None:
    accept(monkeypatch)


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


# The plan wins.
ASKED = 'variable "open" {\n  default = %s\n}\n' + resource("aws_db_instance", "publicly_accessible = var.open")
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


# Modules, variables, dynamic blocks.
def test_a_module_is_judged_with_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    inner = 'variable "public" {}\nvariable "x" {}\nvariable "y" { \n default = true\n}\n' + resource(
        "aws_db_instance",
        "publicly_accessible = var.public",
        "storage_encrypted = var.x",
        "deletion_protection = var.y",
    )
    (tmp_path / "m" / "main.tf").write_text(inner)
    call = 'variable "y" {}\nlocals {\n  open = true\n}\n'
    call += 'module "db" {\n  source = "./m"\n  public = local.open\n  x = var.y\n}\n'
    found = text_says(tmp_path, call)
    assert [(one.address, one.file) for one in found.violations if one.rule == "SLW-RDS-01"] == [
        ("module.db.aws_db_instance.this", "m/main.tf")
    ]
    assert "SLW-RDS-02" in {one.rule for one in found.open}  # the caller's y is not the module's
    assert "SLW-DEL-01" not in broken(found)


def test_dynamic_blocks_and_tfvars_are_read(tmp_path: Path) -> None:
    dynamic = 'dynamic "ingress" {\n for_each = var.ports\n content {\n from_port = 22\n to_port = 22\n }\n}'
    assert "SLW-NET-02" in broken(text_says(tmp_path, resource("aws_security_group", dynamic)))
    root, variables = folder(tmp_path, ASKED % "false")
    variables.write_text("open = true\n")
    assert "SLW-RDS-01" in broken(policy.judge(None, root, variables))


@pytest.mark.parametrize("text", ['resource "a" "b" {', "= = =", 'resource "a" "b" {\n x = [1,,2]\n}\n'])
def test_what_is_no_hcl_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(text)
    with pytest.raises(Stop, match=r"main\.tf.* is no HCL") as stopped:
        policy.check(None, tmp_path)
    assert stopped.value.code == Code.USAGE


def test_a_folder_without_terraform_is_not_clean_but_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="no Terraform"):
        policy.check(None, tmp_path)


# Waivers.
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
