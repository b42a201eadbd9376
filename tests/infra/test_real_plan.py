"""A plan that the real Terraform makes now: the model still fits what it prints."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.lib.infra import gitlab_report, plan_summary, planfile, policy, prices, providers
from tests.infra.test_planfile import SECRETS

MAIN = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

variable "database_password" {
  type      = string
  sensitive = true
}

resource "aws_kms_key" "data" {}

resource "aws_db_instance" "main" {
  engine            = "postgres"
  instance_class    = "db.t4g.micro"
  allocated_storage = 20
  username          = "admin_user"
  password          = var.database_password
  kms_key_id        = aws_kms_key.data.arn
}
"""


@pytest.mark.slow
def test_what_terraform_prints_today_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform is not on PATH")
    (tmp_path / "main.tf").write_text(MAIN)
    environment = {
        **os.environ,
        **providers.settings(tmp_path / "cli"),
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "TF_VAR_database_password": SECRETS[0],
    }

    def run(*words: str) -> str:
        command = [terraform, f"-chdir={tmp_path}", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300).stdout

    run("init", "-input=false")
    run("plan", "-input=false", "-out=saved")
    printed = run("show", "-json", "saved")
    assert SECRETS[0] in printed
    plan = planfile.read(printed)
    assert gitlab_report.of(plan) == {"create": 2, "update": 0, "delete": 0}
    estimate = prices.estimate(plan, "us-east-1")
    assert estimate.after == pytest.approx(1.0 + 0.016 * 730 + 2.3)
    found = policy.judge(plan, tmp_path, environment="none")
    rules = {one.rule for one in found.violations}
    assert {"SLW-RDS-02", "SLW-RDS-03", "SLW-KMS-01", "SLW-TAG-01", "SLW-TF-01"} <= rules
    plan_summary.show(plan, estimate)
    policy.show(found.violations)
    assert SECRETS[0] not in capsys.readouterr().out + found.model_dump_json()
