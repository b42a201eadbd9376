"""The estimate: what it adds up, what it names as not known, and what Spot saves."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.lib import paths
from tasks.lib.infra import prices
from tasks.lib.infra.price_formulas import COSTS, HOURS
from tasks.lib.infra.prices import Estimate
from tests.infra.test_planfile import change, made, real

TABLE = prices.load()
HERE = TABLE.regions["us-east-1"]
DATABASE = {"engine": "postgres", "instance_class": "db.t4g.micro", "allocated_storage": 20, "storage_type": "gp3"}


def cost(kind: str, after: dict[str, Any], region: str = "us-east-1") -> float | None:
    return prices.estimate(made(change(f"{kind}.a", "create", after=after)), region).lines[0].after


def nodes(name: str, capacity: str, count: int, *types: str) -> dict[str, Any]:
    after = {"capacity_type": capacity, "instance_types": list(types), "scaling_config": [{"desired_size": count}]}
    return change(f"aws_eks_node_group.{name}", "create", after=after)


def words(plan: Any) -> str:
    return "\n".join(prices.estimate(plan).sentences)


@pytest.mark.parametrize(
    ("kind", "after", "expected"),
    [
        ("aws_nat_gateway", {}, 0.045 * HOURS),
        ("aws_eks_cluster", {}, 73.0),
        ("aws_eip", {}, 3.65),
        ("aws_kms_key", {}, 1.0),
        ("aws_vpc_endpoint", {"vpc_endpoint_type": "Interface", "subnet_ids": ["a", "b"]}, 14.6),
        ("aws_vpc_endpoint", {"vpc_endpoint_type": "Interface", "subnet_ids": "(known after apply)"}, 7.3),
        ("aws_vpc_endpoint", {"vpc_endpoint_type": "Gateway"}, 0.0),
        ("aws_instance", {"instance_type": "t3.micro"}, 0.0104 * HOURS),
        ("aws_instance", {"instance_type": "t3.micro", "associate_public_ip_address": True}, 0.0154 * HOURS),
        (
            "aws_instance",
            {"instance_type": "t3.micro", "root_block_device": [{"volume_size": 10}]},
            0.0104 * HOURS + 0.8,
        ),
        ("aws_ebs_volume", {"size": 100, "type": "gp2"}, 10.0),
        ("aws_db_instance", DATABASE, 0.016 * HOURS + 2.3),
        ("aws_db_instance", {**DATABASE, "multi_az": True}, 2 * (0.016 * HOURS + 2.3)),
        ("aws_db_instance", {**DATABASE, "manage_master_user_password": True}, 0.016 * HOURS + 2.7),
        ("aws_vpc", {}, 0.0),
    ],
)
def test_cost_per_month(kind: str, after: dict[str, Any], expected: float) -> None:
    assert cost(kind, after) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "after", "region", "why"),
    [
        ("aws_s3_bucket", {}, "us-east-1", "paid by use (GB kept and requests)"),
        ("aws_ecr_repository", {}, "us-east-1", "paid by use (GB of images)"),
        ("aws_quantum_thing", {}, "us-east-1", "not priced"),
        ("aws_instance", {"instance_type": "x9.huge"}, "us-east-1", "not priced (x9.huge in us-east-1)"),
        ("aws_instance", {"instance_type": "t3.micro"}, "mars-north-1", "not priced in mars-north-1"),
        (
            "aws_db_instance",
            {**DATABASE, "engine": "oracle-ee"},
            "us-east-1",
            "not priced (RDS oracle-ee in us-east-1)",
        ),
        (
            "aws_ebs_volume",
            {"size": "(known after apply)"},
            "us-east-1",
            "not priced (its size is known after the apply)",
        ),
    ],
)
def test_what_has_no_price_is_named_and_never_zero(kind: str, after: dict[str, Any], region: str, why: str) -> None:
    found = prices.estimate(made(change(f"{kind}.a", "create", after=after)), region)
    assert (found.lines[0].after, found.lines[0].why) == (None, why)
    assert f"{kind}.a" in "\n".join(found.sentences)


def test_every_change_has_its_difference() -> None:
    larger = {**DATABASE, "instance_class": "db.t4g.small"}
    plan = made(
        change("aws_db_instance.grows", "update", before=DATABASE, after=larger),
        change("aws_db_instance.anew", "delete", "create", before=DATABASE, after=DATABASE),
        change("aws_nat_gateway.goes", "delete", before={}),
        change("aws_nat_gateway.stays", "no-op", before={}, after={}),
        change("aws_nat_gateway.forgotten", "forget", before={}),
    )
    found = prices.estimate(plan, "us-east-1")
    assert {line.address.split(".")[1]: line.words for line in found.lines} == {
        "anew": "13.98, as before",
        "forgotten": "-32.85",
        "goes": "-32.85",
        "grows": "+11.68",
        "stays": "32.85, as before",
    }
    assert found.after - found.before == pytest.approx(11.68 - 2 * 32.85)


def test_golden_of_a_real_plan(capsys: pytest.CaptureFixture[str]) -> None:
    prices.show(prices.estimate(real("change")))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "resource              USD per month, estimated",
        "aws_db_instance.main  +11.68",
        "aws_instance.bastion  +7.59",
        "aws_kms_key.data      -1.00",
        "Estimated: 113.84 USD per month after this, +18.27 (list prices of us-east-1 of 2026-06-30; no traffic, "
        "discount or tax; no disk whose size is not known, one zone where zones are not)",
        "Not in the sum, paid by use: aws_s3_bucket.artifacts, aws_sqs_queue.events[0], aws_sqs_queue.events[1]",
    ]


def test_the_region_is_the_plans_unless_it_is_given() -> None:
    plan = made(change("aws_nat_gateway.a", "create", after={}), variables={"region": {"value": "eu-central-1"}})
    assert prices.estimate(plan).after == pytest.approx(0.052 * HOURS)
    assert prices.estimate(plan, "us-east-1").after == pytest.approx(0.045 * HOURS)


def test_spot_saves_what_the_table_says() -> None:
    plan = made(nodes("spot", "SPOT", 2, "t3.small", "t3.medium"), nodes("base", "ON_DEMAND", 1, "t3.small"))
    found = prices.mix(plan, HERE)
    assert found is not None
    full = 2 * (0.0208 + 0.0416) / 2 + 0.0208
    mixed = 2 * (0.0208 * 0.35 + 0.0416 * 0.44) / 2 + 0.0208
    assert found.share == pytest.approx(2 / 3)
    assert found.saves == pytest.approx(1 - mixed / full)
    assert "Spot: 2 of 3 nodes" in words(plan)


def test_the_seeds_claim_holds_for_spot_nodes_but_not_for_the_mix() -> None:
    """60-70 % of the nodes on Spot save about 40 % of all nodes; 60-70 % is what one Spot node saves."""
    types = ("t3.small", "t3a.small", "t3.medium", "t3a.medium")
    only = prices.mix(made(nodes("spot", "SPOT", 2, *types)), HERE)
    both = prices.mix(made(nodes("spot", "SPOT", 2, *types), nodes("base", "ON_DEMAND", 1, *types)), HERE)
    assert only and both
    assert 0.60 <= only.saves <= 0.70
    assert 0.38 <= both.saves <= 0.47


T3 = ("t3.small", "t3a.small", "t3.medium", "t3a.medium")
LARGE = ("m5.large", "m5a.large", "m6i.large", "m6a.large", "m7i.large", "m7a.large")


@pytest.mark.parametrize(
    ("environment", "spot", "base"),
    [
        ("staging", nodes("spot", "SPOT", 2, *T3), nodes("base", "ON_DEMAND", 1, "t3.small")),
        ("production", nodes("spot", "SPOT", 4, *LARGE), nodes("base", "ON_DEMAND", 2, "m6i.large")),
    ],
)
def test_the_document_quotes_what_the_table_says(environment: str, spot: Any, base: Any) -> None:
    found = prices.mix(made(spot, base), HERE)
    assert found
    page = (paths.ROOT / "docs" / "infrastructure.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if line.startswith(f"| {environment}, "))
    assert line.endswith(f"| {found.on_demand:.2f} | {found.mixed:.2f} | {found.saves * 100:.0f} % |")


def test_a_mix_of_unknown_size_is_no_mix() -> None:
    assert (
        prices.mix(made(change("aws_eks_node_group.a", "create", after={"instance_types": ["t3.small"]})), HERE) is None
    )
    assert prices.mix(made(), HERE) is None


def test_the_table_is_dated_and_every_spot_price_has_an_on_demand_one() -> None:
    assert TABLE.date.year >= 2026
    for region in TABLE.regions.values():
        assert set(region.spot_saves) <= set(region.ec2)
        assert all(0 < saved < 95 for saved in region.spot_saves.values())
    assert not set(TABLE.free) & (set(TABLE.by_use) | set(COSTS))


def test_an_estimate_is_never_more_than_the_table_knows() -> None:
    found: Estimate = prices.estimate(real("create"))
    assert {line.address for line in found.not_priced} == {"aws_s3_bucket.artifacts"}
    assert found.before == 0.0
