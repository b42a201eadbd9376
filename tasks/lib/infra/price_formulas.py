"""How the cost per month of one resource follows from its attributes and a region's list prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.lib.infra.masking import UNKNOWN

HOURS = 730  # of an average month, as AWS's calculator counts


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Region(Model):
    """List prices of one region in USD."""

    hourly: dict[str, float]
    monthly: dict[str, float]
    gib_month: dict[str, float]
    ec2: dict[str, float] = Field(description="Linux, on demand, per hour")
    spot_saves: dict[str, int] = Field(description="percent below on demand, average of a month")
    rds_postgres: dict[str, float] = Field(description="one zone, on demand, per hour; two zones are twice that")


def _hourly(name: str) -> Callable[[dict[str, Any], Region], float]:
    return lambda values, prices: prices.hourly[name] * HOURS


def _instance(values: dict[str, Any], prices: Region) -> float:
    disks = [*_blocks(values, "root_block_device"), *_blocks(values, "ebs_block_device")]
    address = prices.hourly["public_ipv4"] * HOURS if values.get("associate_public_ip_address") is True else 0.0
    known = [disk for disk in disks if isinstance(disk.get("volume_size"), (int, float))]
    return prices.ec2[values["instance_type"]] * HOURS + address + sum(_disk(disk, prices) for disk in known)


def _zones(values: Any) -> int:
    # Subnets that are yet to be made are one value that is not known: at least one of them it is.
    return len(values) if isinstance(values, list) else 1


def _blocks(values: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = values.get(name)
    return found if isinstance(found, list) else []


def _disk(values: dict[str, Any], prices: Region) -> float:
    size = values["volume_size"] if values.get("volume_size") else values["size"]
    kind = values.get("volume_type") or values.get("type")
    return float(size) * prices.gib_month[f"ebs {kind if isinstance(kind, str) and kind.startswith('g') else 'gp3'}"]


def _database(values: dict[str, Any], prices: Region) -> float:
    if values.get("engine") != "postgres":
        raise KeyError(f"RDS {values.get('engine')}")
    zones = 2 if values.get("multi_az") is True else 1
    kind = values.get("storage_type")
    kind = kind if kind and kind != UNKNOWN else "gp2"  # what RDS takes where nothing is said
    storage = float(values["allocated_storage"]) * prices.gib_month[f"rds {kind}"]
    secret = prices.monthly["secret"] if values.get("manage_master_user_password") is True else 0.0
    return zones * (prices.rds_postgres[values["instance_class"]] * HOURS + storage) + secret


def _nodes(values: dict[str, Any], prices: Region) -> float:
    return node_costs(values, prices)[2 if values.get("capacity_type") == "SPOT" else 1]


def node_costs(values: dict[str, Any], prices: Region) -> tuple[int, float, float]:
    """Nodes wanted, and their cost per month on demand and on Spot; with several types, the mean of them."""
    count, types = int(values["scaling_config"][0]["desired_size"]), values["instance_types"]
    on_demand = sum(prices.ec2[kind] for kind in types) / len(types)
    spot = sum(prices.ec2[kind] * (1 - prices.spot_saves[kind] / 100) for kind in types) / len(types)
    return count, count * on_demand * HOURS, count * spot * HOURS


COSTS: dict[str, Callable[[dict[str, Any], Region], float]] = {
    "aws_nat_gateway": _hourly("nat_gateway"),
    "aws_eks_cluster": _hourly("eks_cluster"),
    "aws_eip": _hourly("public_ipv4"),
    "aws_vpc_endpoint": lambda values, prices: (
        prices.hourly["interface_endpoint"] * HOURS * _zones(values["subnet_ids"])
        if values.get("vpc_endpoint_type") == "Interface"
        else 0.0
    ),
    "aws_instance": _instance,
    "aws_ebs_volume": _disk,
    "aws_db_instance": _database,
    "aws_eks_node_group": _nodes,
    "aws_kms_key": lambda values, prices: prices.monthly["kms_key"],
    "aws_secretsmanager_secret": lambda values, prices: prices.monthly["secret"],
}
"""How each type's cost per month follows from its attributes. Raises KeyError for what the table does not have."""
