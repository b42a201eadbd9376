"""How Terraform's files are read for the rules: modules, variables, dynamic blocks, and what is no HCL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.infra import policy
from tests.infra.policy_world import (
    ASKED,
    broken,
    folder,
    resource,
    text_says,
)

pytestmark = pytest.mark.usefixtures("no_waivers")


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
