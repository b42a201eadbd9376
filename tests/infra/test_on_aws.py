"""The AWS provider on moto, through the tasks' own functions: applied, watched, and gone without a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.infra import applying, destroying, drift, plans, state, terraform
from tests.infra import world as worlds
from tests.infra.world import HEAD, World

ROOT = (
    HEAD.replace(
        'backend "s3" {}',
        'backend "s3" {}\n  required_providers {\n    aws = { source = "hashicorp/aws", version = "5.100.0" }\n  }',
    )
    + """
provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]
}
variable "key" { default = "id" }
resource "aws_sns_topic" "work" { name = "work-${var.environment}" }
resource "aws_iam_role" "one" {
  name               = "one-${var.environment}"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }
  ] })
}
resource "aws_iam_role_policy" "one" {
  role   = aws_iam_role.one.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = "sns:Publish", Resource = aws_sns_topic.work.arn }
  ] })
}
resource "aws_dynamodb_table" "orders" {
  name         = "orders-${var.environment}"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = var.key
  attribute {
    name = var.key
    type = "S"
  }
}
output "topic" { value = aws_sns_topic.work.arn }
"""
)


def apply(world: World) -> None:
    here = world.place()
    plans.load(here)
    with terraform.ready(world.c, here) as ready:
        plan = plans.read(ready, here.saved / plans.PLAN)
        applying.agree(here, plan, True, [])
        applying.apply(ready, plan)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_apply_then_nothing_to_do_then_drift_then_a_replacement_then_gone(tmp_path: Path, endpoint: str) -> None:
    world = worlds.make(tmp_path, endpoint, ROOT, "")
    with terraform.ready(world.c, world.place()):
        pass  # writes the providers' lock file, which belongs into the commit
    world.write(".gitignore", "")
    assert len(world.plan().acting) == 4
    apply(world)
    assert world.plan().empty

    with terraform.ready(world.c, world.place()) as ready:
        before = world.state()
        assert drift.find(ready) == []  # the role's policy, which AWS shows in the role as well, is none
        topic, sns = state.output(ready, "topic"), world.client("sns")
        sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="by hand")
        assert drift.rows(drift.find(ready)) == [("aws_sns_topic.work", "display_name", "", "by hand")]
        assert world.state() == before

    world.write("tf/environments/x.tfvars", 'key = "number"\n')
    plan = world.plan()
    assert [change.address for change in plan.losses] == ["aws_dynamodb_table.orders"]
    with pytest.raises(Stop, match=r"aws_dynamodb_table\.orders") as caught:
        apply(world)
    assert caught.value.code == Code.REFUSED
    table = world.client("dynamodb").describe_table(TableName="orders-local")["Table"]
    assert table["KeySchema"][0]["AttributeName"] == "id"

    assert len(world.plan(destroy=True).losses) == 1
    with terraform.ready(world.c, world.place()) as ready:
        with pytest.raises(Stop, match="4 resources are left"):
            destroying.verify(ready)
        applying.apply(ready, plans.read(ready, world.place().saved / plans.PLAN), "destroy")
        destroying.verify(ready)
    assert world.client("dynamodb").list_tables()["TableNames"] == []
    assert world.client("sns").list_topics()["Topics"] == []
