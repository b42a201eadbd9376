"""What infra/terraform promises, asked of the real terraform: its own tests, and plans of every environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from tasks.lib import tools
from tests.infra import rooted
from tests.infra.rooted import ROOT, Terraform

ENVIRONMENTS = ["local", "staging", "production"]
TAGS = {"owner", "environment", "commit", "project", "managed-by"}
PROTECTED_KINDS = {"database", "artifacts", "key", "cluster", "registry"}

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def program() -> Path:
    return tools.path(Context(), "terraform")


@pytest.fixture(scope="module")
def root(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    folder = tmp_path_factory.mktemp("root")
    with rooted.moto(folder / "moto.log") as endpoint:
        yield rooted.copy(program, folder / "terraform", endpoint)


@pytest.fixture(scope="module")
def plans(root: Terraform) -> dict[str, list[Resource]]:
    """Environment → what a first apply makes. The two real ones are planned as for AWS, nothing left out."""
    return {name: _made(root.plan(name, emulated=name == "local")) for name in ENVIRONMENTS}


def _made(plan: dict[str, Any]) -> list[Resource]:
    return [
        {"address": one["address"], "type": one["type"], "mode": one["mode"], **one["change"]["after"]}
        for one in plan["resource_changes"]
        if "create" in one["change"]["actions"]
    ]


def of_type(resources: list[Resource], kind: str) -> list[Resource]:
    found = [one for one in resources if one["type"] == kind]
    assert found, f"no {kind} in the plan"
    return found


def test_is_formatted(program: Path) -> None:
    done = subprocess.run(
        [program, "fmt", "-check", "-recursive", ROOT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_modules_keep_their_promises(root: Terraform) -> None:
    done = root.run("test", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_everything_says_whose_it_is(plans: dict[str, list[Resource]], name: str) -> None:
    tagged = [one for one in plans[name] if "tags_all" in one]
    assert len(tagged) > 30
    missing = [one["address"] for one in tagged if not set(one["tags_all"] or {}) >= TAGS]
    assert missing == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_rule_names_an_address(plans: dict[str, list[Resource]], name: str) -> None:
    ingress = of_type(plans[name], "aws_vpc_security_group_ingress_rule")
    rules = [*ingress, *of_type(plans[name], "aws_vpc_security_group_egress_rule")]
    assert [one["address"] for one in rules if one.get("cidr_ipv4") or one.get("cidr_ipv6")] == []
    assert [one["address"] for one in ingress if one["from_port"] <= 22 <= one["to_port"]] == []
    assert [one["type"] for one in plans[name] if one["type"] == "aws_security_group_rule"] == []
    for group in of_type(plans[name], "aws_security_group"):
        assert not group.get("ingress") and not group.get("egress")


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_is_public_and_all_is_encrypted(plans: dict[str, list[Resource]], name: str) -> None:
    made = plans[name]
    (database,) = of_type(made, "aws_db_instance")
    assert not database["publicly_accessible"] and database["storage_encrypted"]
    assert database["manage_master_user_password"] and not database.get("password")
    (cluster,) = of_type(made, "aws_eks_cluster")
    assert not cluster["vpc_config"][0]["endpoint_public_access"]
    assert cluster["encryption_config"][0]["resources"] == ["secrets"]
    for instance in of_type(made, "aws_instance"):
        assert instance["metadata_options"][0]["http_tokens"] == "required"
        assert instance["root_block_device"][0]["encrypted"]
        # moto answers that every instance has one, so there nothing is asked for; no subnet gives one by itself.
        assert instance.get("associate_public_ip_address") is (None if name == "local" else False)
    assert not any(subnet.get("map_public_ip_on_launch") for subnet in of_type(made, "aws_subnet"))
    for template in of_type(made, "aws_launch_template"):
        assert template["metadata_options"][0]["http_tokens"] == "required"
    assert len(of_type(made, "aws_s3_bucket")) == len(of_type(made, "aws_s3_bucket_public_access_block"))
    assert [one["address"] for one in made if one["type"] == "aws_key_pair"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_sixty_to_seventy_percent_of_the_nodes_are_spot(plans: dict[str, list[Resource]], name: str) -> None:
    sizes = {one["capacity_type"]: one["scaling_config"][0] for one in of_type(plans[name], "aws_eks_node_group")}
    for size in ("min_size", "desired_size", "max_size"):
        share = sizes["SPOT"][size] / (sizes["SPOT"][size] + sizes["ON_DEMAND"][size])
        assert 0.6 <= share <= 0.7


@pytest.mark.slow
def test_production_is_protected_and_the_others_can_be_ended(plans: dict[str, list[Resource]]) -> None:
    for name in ENVIRONMENTS:
        (database,) = of_type(plans[name], "aws_db_instance")
        buckets = of_type(plans[name], "aws_s3_bucket")
        locks = {one["input"] for one in plans[name] if one["type"] == "terraform_data" and one["input"]}
        lasting = name == "production"
        assert locks == (PROTECTED_KINDS if lasting else set())
        assert (database["deletion_protection"], not database["skip_final_snapshot"]) == (lasting, lasting)
        assert {bucket["force_destroy"] for bucket in buckets} == {not lasting}


@pytest.mark.slow
def test_staging_uses_the_images_of_production(plans: dict[str, list[Resource]]) -> None:
    assert [one["address"] for one in plans["staging"] if one["type"].startswith("aws_ecr")] == []
    (lifecycle,) = of_type(plans["production"], "aws_ecr_lifecycle_policy")
    assert [rule["selection"]["tagPatternList"] for rule in json.loads(lifecycle["policy"])["rules"]] == [["try-*"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["staging", "production"])
def test_trivy_finds_nothing(tmp_path: Path, name: str) -> None:
    words = ["config", "--skip-check-update", "--misconfig-scanners", "terraform", "--cache-dir", tmp_path / "cache"]
    words += ["--tf-vars", ROOT / f"environments/{name}.tfvars", "--format", "json", "--output", tmp_path / "out", ROOT]
    done = subprocess.run(
        [tools.path(Context(), "trivy"), *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out").read_text(encoding="utf-8"))["Results"]
    assert sum(one["MisconfSummary"]["Successes"] for one in results) > 80
    found = {(one["ID"], one["Severity"]) for result in results for one in result.get("Misconfigurations") or []}
    # Without deletion protection: what `protected = false` means.
    assert found == (set() if name == "production" else {("AWS-0177", "MEDIUM")})


HARNESS = """
variable "protected" { type = bool }
variable "version_of_it" { type = string }
resource "terraform_data" "database" {
  input            = "data"
  triggers_replace = var.version_of_it
}
module "protection" {
  source  = "./protection"
  enabled = var.protected
  locked  = { database = terraform_data.database.id }
}
"""


@pytest.fixture
def locked(program: Path, tmp_path: Path) -> Terraform:
    """The real module around something that needs no AWS, applied and protected."""
    folder = tmp_path / "harness"
    folder.mkdir()
    (folder / "main.tf").write_text(HARNESS, encoding="utf-8")
    (folder / "protection").symlink_to(ROOT / "modules/protection")
    terraform = rooted.opened(program, folder)
    done = terraform.run("apply", "-auto-approve", "-var=protected=true", "-var=version_of_it=1")
    assert done.returncode == 0, done.stderr
    return terraform


@pytest.mark.parametrize(
    "words",
    [
        ["destroy", "-var=protected=true", "-var=version_of_it=1"],
        ["destroy", "-var=protected=true", "-var=version_of_it=1", "-target=terraform_data.database"],
        ["apply", "-var=protected=true", "-var=version_of_it=2"],
        ["apply", "-var=protected=true", "-var=version_of_it=1", "-replace=terraform_data.database"],
        ["apply", "-var=protected=false", "-var=version_of_it=1"],
    ],
    ids=["destroy", "destroy-target", "replace-by-change", "replace-by-hand", "switch-off"],
)
def test_what_is_locked_survives(locked: Terraform, words: list[str]) -> None:
    done = locked.run(words[0], "-auto-approve", "-no-color", *words[1:])
    assert done.returncode == 1 and "Instance cannot be destroyed" in done.stderr
    assert "terraform_data.database" in locked.run("state", "list").stdout


@pytest.mark.slow
def test_a_lock_is_taken_off_in_two_steps(locked: Terraform) -> None:
    assert locked.run("state", "rm", "module.protection.terraform_data.lock").returncode == 0
    done = locked.run("destroy", "-auto-approve", "-var=protected=false", "-var=version_of_it=1")
    assert done.returncode == 0, done.stderr
    assert locked.run("state", "list").stdout == ""
