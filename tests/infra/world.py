"""A moto server, and checkouts with a small Terraform root on it: real programs, nothing outside this machine."""

from __future__ import annotations

import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import settings
from tasks.lib.aws import session
from tasks.lib.infra import bootstrap, place, plans, terraform
from tasks.lib.infra.place import Place
from tasks.lib.infra.planfile import Plan
from tasks.lib.infra_settings import Infra, State
from tasks.lib.settings import Environment

HEAD = """terraform {
  backend "s3" {}
}
variable "environment" { type = string }
variable "commit" { type = string }
variable "region" { type = string }
variable "account_id" { type = string }
variable "emulated" { type = bool }
variable "state" { type = string }
"""
# Terraform's own provider: as quick as Terraform gets.
SMALL = (
    HEAD
    + """
variable "word" { type = string }
variable "seconds" { default = 0 }
resource "terraform_data" "one" { input = var.word }
resource "terraform_data" "slow" {
  count      = var.seconds > 0 ? 1 : 0
  depends_on = [terraform_data.one]
  provisioner "local-exec" { command = "sleep ${var.seconds}" }
}
output "word" { value = terraform_data.one.output }
output "password" {
  value     = "hunter2-hunter2"
  sensitive = true
}
"""
)


def context() -> Context:
    """A context whose programs get no standard input."""
    made = Context()
    made.config.run.in_stream = False
    return made


@dataclass
class World:
    """One checkout and its environment."""

    c: Context
    repo: Path
    env: Environment

    def change(self, **infra: Any) -> World:
        """The same checkout under other settings."""
        return World(self.c, self.repo, self.env.model_copy(update={"infra": self.env.infra.model_copy(update=infra)}))

    def write(self, name: str, text: str, commit: bool = True) -> None:
        file = self.repo / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if commit:
            self.git("add", "-A")
            self.git("commit", "-q", "-m", "change")

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
        argv = ["git", *who, *words]
        return subprocess.run(argv, cwd=self.repo, check=True, capture_output=True, text=True).stdout.strip()

    def place(self, work: str = "work") -> Place:
        return place.describe(self.c, self.env, self.repo, self.repo.parent / work)

    def plan(self, work: str = "work", destroy: bool = False) -> Plan:
        with terraform.ready(self.c, self.place(work)) as ready:
            return plans.make(ready, destroy)

    def client(self, service: str) -> Any:
        return session.client(self.env.infra, service)

    def state(self) -> str:
        """The state's text in S3; '' when there is none."""
        s3, infra = self.client("s3"), self.env.infra
        keys = [one["Key"] for one in s3.list_objects_v2(Bucket=infra.bucket).get("Contents", [])]
        key = infra.key(self.env.name)
        return s3.get_object(Bucket=infra.bucket, Key=key)["Body"].read().decode() if key in keys else ""


def make(folder: Path, endpoint: str, text: str = SMALL, variables: str = 'word = "first"\n') -> World:
    """A checkout with this root, and its state bucket."""
    infra = Infra(
        emulated=True,
        endpoint=endpoint,
        root="tf",
        variables="tf/environments/x.tfvars",
        state=State(bucket=f"t-{uuid.uuid4()}"),
    )
    base = settings.load("local")
    world = World(context(), folder / "checkout", base.model_copy(update={"infra": infra, "allow_dirty": False}))
    world.repo.mkdir(parents=True)
    world.git("init", "-q", "-b", "main")
    world.write("tf/main.tf", text, commit=False)
    world.write("tf/environments/x.tfvars", variables)
    bootstrap.make(bootstrap.settings(infra))
    return world
