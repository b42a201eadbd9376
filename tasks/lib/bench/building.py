"""Rows `infra` and `infra-drift`: the tasks against raw Terraform, the whole root on a moto server for each side."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from invoke.context import Context

from tasks.lib import paths, settings, tools
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import Stage, median, spread
from tasks.lib.infra import moto, place
from tasks.lib.infra.terraform import COLLECTOR, Terraform
from tasks.lib.lab.layout import Home
from tasks.lib.runner import run

SECONDS = 1800.0
ROUNDS = 3
ENV = "local"


@dataclass(frozen=True)
class Side:
    """A clone of the checkout with an AWS of its own."""

    c: Context
    clone: Path
    home: Home

    def inv(self, *words: str) -> None:
        """A line as it is typed."""
        argv = [sys.executable, self.clone / "front_door.py", "--search-root", self.clone, *words]
        env = {"SLIPWAY_LAB_HOME": str(self.home.root)}
        run(self.c, argv, step=words[0], timeout=SECONDS, env=env, quiet=True, cwd=self.clone)

    def raw(self, *lines: list[str]) -> None:
        """Terraform by hand: init, then these lines."""
        env = settings.load(ENV)
        infra = env.infra.model_copy(update={"endpoint": moto.find(self.home)})
        work = self.clone.parent / "raw"
        here = replace(place.describe(self.c, env, self.clone, work), infra=infra)
        terraform = Terraform(self.c, tools.path(self.c, "terraform"), here)
        # Go's collector as whoever types the lines has it; ours runs it less often.
        by_hand = {**terraform.variables, **{name: os.environ.get(name, "") for name in COLLECTOR}}
        state = [f"bucket={infra.bucket}", f"key={infra.key(ENV)}", f"region={infra.region}", "use_lockfile=true"]
        init = ["init", "-reconfigure", *(f"-backend-config={one}" for one in (*state, "use_path_style=true"))]
        for words in (init, *lines):
            argv = [terraform.program, f"-chdir={here.root}", *words]
            values = terraform.values if words[0] == "plan" else []
            run(self.c, [*argv, *values], step="terraform", timeout=SECONDS, env=by_hand, quiet=True)


@dataclass(frozen=True)
class Spent:
    """What something took. processor: seconds of all programs that were started for it and have ended."""

    seconds: float
    processor: float

    @classmethod
    def on(cls, stage: Stage, work: Callable[[], None]) -> Spent:
        """Measures one call."""
        before = _processor()
        seconds = stage.timed(work)
        return cls(seconds, _processor() - before)

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.seconds + other.seconds, self.processor + other.processor)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def side(c: Context) -> Iterator[Side]:
    """A clone and a server with a state bucket; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-aws-") as folder:
        home = Home(Path(folder) / "lab")
        clone = Path(folder) / "clone"
        run(c, ["git", "clone", "--quiet", paths.ROOT, clone], step="clone", timeout=120, quiet=True)
        try:
            moto.up(home)
            made = Side(c, clone, home)
            made.inv("infra.bootstrap")  # both sides need the bucket, and no plan is a checkout's first line
            yield made
        finally:
            moto.down(home)


def apply(stage: Stage) -> Row:
    """Plan, apply and second plan, against terraform init, plan, apply, plan."""
    with side(stage.c) as one:
        one.raw()  # init reads the provider, 700 MB: from here on the machine has it in memory for either side
        ours = Spent.on(stage, lambda: one.inv("infra.plan", "infra.apply", "--yes"))
        second = Spent.on(stage, lambda: one.inv("infra.plan"))
    with side(stage.c) as one:
        plan = str(one.clone.parent / "tfplan")
        words = ["plan", "-input=false", f"-out={plan}"]
        raw = Spent.on(stage, lambda: one.raw(words, ["apply", "-input=false", plan]))
        raw_second = Spent.on(stage, lambda: one.raw(words))
    all_ours, all_raw = ours + second, raw + raw_second
    collector = ", ".join(f"{name}={value}" for name, value in COLLECTOR.items())
    notes = [
        f"ours {ours.seconds:.1f} and {second.seconds:.1f} s; raw {raw.seconds:.1f} and {raw_second.seconds:.1f} s",
        f"processor without the server: ours {all_ours.processor:.0f} s, raw {all_raw.processor:.0f} s",
        "ours also asks rules and prices, and reads the world again after the apply",
        f"ours gives Terraform {collector}; raw is as Go has it",
    ]
    return Row(
        name="infra",
        what="infra.plan infra.apply, then infra.plan",
        unit="s",
        ours=all_ours.seconds,
        raw=all_raw.seconds,
        raw_what="terraform init, plan, apply, init, plan",
        limit_ratio=1.1,
        notes=notes,
    )


def drift(stage: Stage) -> Row:
    """infra.drift, against terraform init and plan -refresh-only."""
    with side(stage.c) as one:
        one.inv("infra.plan", "infra.apply", "--yes")
        pairs = [
            (
                stage.timed(lambda: one.inv("infra.drift")),
                stage.timed(lambda: one.raw(["plan", "-input=false", "-refresh-only"])),
            )
            for _ in range(ROUNDS)
        ]
    ours, raw = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return Row(
        name="infra-drift",
        what="infra.drift",
        unit="s",
        ours=median(ours),
        raw=median(raw),
        raw_what="terraform init, plan -refresh-only",
        limit_ratio=1.1,
        notes=[f"ours {spread(ours)} s; raw {spread(raw)} s"],
    )
