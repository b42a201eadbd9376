"""What a plan would cost per month, from a price table with its date: an estimate, never a bill."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.lib import terminal
from tasks.lib.infra.masking import UNKNOWN
from tasks.lib.infra.planfile import Action, Change, Plan

FILE = Path(__file__).with_name("prices.yaml")
BY_USE = "paid by use"
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


class Table(Model):
    """The price table: what was looked up when, and what it says nothing about."""

    date: datetime.date
    spot_date: datetime.date
    regions: dict[str, Region]
    free: list[str] = Field(description="types without a price of their own")
    by_use: dict[str, str] = Field(description="types that cost what they are used for, and what that is")


class Line(Model):
    """One resource: USD per month before and after, None where the table cannot say."""

    address: str
    type: str
    before: float | None
    after: float | None
    why: str = Field("", description="why there is no figure, or what the figure leaves out")

    @property
    def words(self) -> str:
        """The change per month as one cell of a table."""
        if self.before is None or self.after is None:
            return self.why
        difference = self.after - self.before
        if not difference:
            return "0" if not self.after else f"{self.after:.2f}, as before"
        return f"{difference:+.2f}"


class Mix(Model):
    """What a node group mix of Spot and on demand costs against the same nodes on demand, USD per month."""

    nodes: int
    spot_nodes: int
    on_demand: float
    mixed: float

    @property
    def share(self) -> float:
        """Part of the nodes that is on Spot, 0 to 1."""
        return self.spot_nodes / self.nodes if self.nodes else 0.0

    @property
    def saves(self) -> float:
        """Part of the nodes' cost that is saved, 0 to 1."""
        return 1 - self.mixed / self.on_demand if self.on_demand else 0.0


class Estimate(Model):
    """What the plan's resources cost per month by the table; what has no figure is named."""

    region: str
    date: datetime.date
    lines: list[Line]
    mix: Mix | None = None

    @property
    def before(self) -> float:
        return sum(line.before or 0.0 for line in self.lines)

    @property
    def after(self) -> float:
        return sum(line.after or 0.0 for line in self.lines)

    @property
    def not_priced(self) -> list[Line]:
        """Resources whose price is not known here: the sums leave them out."""
        return [line for line in self.lines if line.before is None or line.after is None]

    @property
    def sentences(self) -> list[str]:
        """What a person must know beside the figures."""
        said = [
            f"Estimated: {self.after:.2f} USD per month after this, {self.after - self.before:+.2f} (list prices of "
            f"{self.region} of {self.date}; no traffic, no disk of unknown size, no discount, no tax)"
        ]
        if self.mix and self.mix.spot_nodes:
            said.append(
                f"Spot: {self.mix.spot_nodes} of {self.mix.nodes} nodes; all of them cost {self.mix.mixed:.2f} "
                f"instead of {self.mix.on_demand:.2f} USD per month, {self.mix.saves:.0%} less"
            )
        by_use = [line.address for line in self.not_priced if line.why.startswith(BY_USE)]
        if by_use:
            said.append(f"Not in the sum, {BY_USE}: {', '.join(by_use)}")
        unknown = [f"{line.address} ({line.why})" for line in self.not_priced if line.address not in by_use]
        if unknown:
            said.append(f"Not in the sum: {', '.join(unknown)}")
        return said


def show(found: Estimate) -> None:
    """Prints what each change costs, the dearest first, and what to know of the sums."""
    rows = [line for line in found.lines if line.before is not None and line.before != line.after]
    rows.sort(key=lambda line: -abs((line.after or 0.0) - (line.before or 0.0)))
    if rows:
        terminal.table("", ("resource", "USD per month, estimated"), [(line.address, line.words) for line in rows])
    for sentence in found.sentences:
        terminal.say(sentence)


class _Unknown(Exception):
    """The table has no price for this; the text says what is missing."""


def load(path: Path = FILE) -> Table:
    """The price table of the checkout."""
    from ruamel.yaml import YAML

    return Table.model_validate(YAML(typ="safe").load(path))


def estimate(plan: Plan, region: str = "", table: Table | None = None) -> Estimate:
    """What the plan's resources cost per month, before and after. region: '' for the one that the plan names.

    Resources that do not change count on both sides, so the sums are those of the whole environment.
    """
    table = table or load()
    region = region or plan.facts.region or next(iter(table.regions))
    managed = [change for change in plan.changes if change.mode == "managed"]
    lines = [_line(change, table, table.regions.get(region), region) for change in managed]
    priced = table.regions.get(region)
    return Estimate(region=region, date=table.date, lines=lines, mix=mix(plan, priced) if priced else None)


def _line(change: Change, table: Table, prices: Region | None, region: str) -> Line:
    def cost(values: dict[str, Any], there: bool) -> float:
        return _cost(change.type, values, table, prices, region) if there else 0.0

    gone, new = change.action is Action.DELETE, change.action is Action.CREATE
    try:
        before, after = (
            cost(change.before, not new),
            cost(change.after, not gone and change.action is not Action.FORGET),
        )
    except _Unknown as error:
        return Line(address=change.address, type=change.type, before=None, after=None, why=str(error))
    return Line(address=change.address, type=change.type, before=before, after=after)


def _cost(kind: str, values: dict[str, Any], table: Table, prices: Region | None, region: str) -> float:
    if kind in table.free:
        return 0.0
    if kind in table.by_use:
        raise _Unknown(f"{BY_USE} ({table.by_use[kind]})")
    if kind not in COSTS:
        raise _Unknown("not priced")
    if prices is None:
        raise _Unknown(f"not priced in {region}")
    try:
        return COSTS[kind](values, prices)
    except KeyError as error:
        raise _Unknown(f"not priced ({error.args[0]} in {region})") from error
    except (TypeError, ValueError, IndexError) as error:
        raise _Unknown("not priced (its size is known after the apply)") from error


def _hourly(name: str) -> Callable[[dict[str, Any], Region], float]:
    return lambda values, prices: prices.hourly[name] * HOURS


def _instance(values: dict[str, Any], prices: Region) -> float:
    disks = [*_blocks(values, "root_block_device"), *_blocks(values, "ebs_block_device")]
    address = prices.hourly["public_ipv4"] * HOURS if values.get("associate_public_ip_address") is True else 0.0
    known = [disk for disk in disks if isinstance(disk.get("volume_size"), (int, float))]
    return prices.ec2[values["instance_type"]] * HOURS + address + sum(_disk(disk, prices) for disk in known)


def _count(values: Any) -> int:
    if not isinstance(values, list):
        raise TypeError("known after the apply")
    return len(values)


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
    return _node_costs(values, prices)[2 if values.get("capacity_type") == "SPOT" else 1]


def _node_costs(values: dict[str, Any], prices: Region) -> tuple[int, float, float]:
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
        prices.hourly["interface_endpoint"] * HOURS * _count(values["subnet_ids"])
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


def mix(plan: Plan, prices: Region) -> Mix | None:
    """What the node groups that the plan leaves behind cost, with Spot and without; None without a node group."""
    groups = [c for c in plan.changes if c.type == "aws_eks_node_group" and c.action is not Action.DELETE]
    nodes = spot_nodes = 0
    on_demand = mixed = 0.0
    for group in groups:
        try:
            count, full, reduced = _node_costs(group.after, prices)
        except (KeyError, TypeError, ValueError, IndexError):
            return None
        spot = group.after.get("capacity_type") == "SPOT"
        nodes, spot_nodes = nodes + count, spot_nodes + (count if spot else 0)
        on_demand, mixed = on_demand + full, mixed + (reduced if spot else full)
    return Mix(nodes=nodes, spot_nodes=spot_nodes, on_demand=on_demand, mixed=mixed) if nodes else None
