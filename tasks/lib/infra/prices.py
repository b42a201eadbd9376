"""What a plan would cost per month, from a price table with its date: an estimate, never a bill."""

from __future__ import annotations

import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.lib import terminal
from tasks.lib.infra.planfile import Action, Change, Plan
from tasks.lib.infra.price_formulas import COSTS, Model, Region, node_costs

FILE = Path(__file__).with_name("prices.yaml")
BY_USE = "paid by use"


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
            f"{self.region} of {self.date}; no traffic, discount or tax; no disk whose size is not known, one zone "
            "where zones are not)"
        ]
        if self.mix and self.mix.spot_nodes:
            said.append(
                f"Spot: {self.mix.spot_nodes} of {self.mix.nodes} nodes; all of them cost {self.mix.mixed:.2f} "
                f"instead of {self.mix.on_demand:.2f} USD per month, {self.mix.saves:.0%} less"
            )
        by_use = [line.address for line in self.not_priced if line.why.startswith(BY_USE)]
        if by_use:
            said.append(f"Not in the sum, {BY_USE}: {', '.join(by_use)}")
        unknown = [f"{line.address}: {line.why}" for line in self.not_priced if line.address not in by_use]
        said += [f"Not in the sum: {one}" for one in unknown]
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


@lru_cache(maxsize=4)
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


def mix(plan: Plan, prices: Region) -> Mix | None:
    """What the node groups that the plan leaves behind cost, with Spot and without; None without a node group."""
    groups = [c for c in plan.changes if c.type == "aws_eks_node_group" and c.action is not Action.DELETE]
    nodes = spot_nodes = 0
    on_demand = mixed = 0.0
    for group in groups:
        try:
            count, full, reduced = node_costs(group.after, prices)
        except (KeyError, TypeError, ValueError, IndexError):
            return None
        spot = group.after.get("capacity_type") == "SPOT"
        nodes, spot_nodes = nodes + count, spot_nodes + (count if spot else 0)
        on_demand, mixed = on_demand + full, mixed + (reduced if spot else full)
    return Mix(nodes=nodes, spot_nodes=spot_nodes, on_demand=on_demand, mixed=mixed) if nodes else None
