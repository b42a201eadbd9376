"""Row `downtime`: requests that fail while releases come and go, and a control run that must lose some."""

from __future__ import annotations

import time

from tasks.lib.bench.load import Load, under_load
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import APP, TEXT, Stage, swap

ROUNDS = 10
CONTROL_ROUNDS = 2
PATH = "/api/time?zone=Europe/Berlin"
SETTLE_SECONDS = 8.0  # preStop, lame duck and the last answers: what leaves must be gone before a run ends
UNDRAINED = {
    "k8s/helm/values.yaml": swap("  enabled: true # false: neither sleep", "  enabled: false # false: neither sleep")
}


def downtime(stage: Stage) -> Row:
    """Failed requests during 10 deploys and 10 rollbacks, and during a few of releases that do not drain."""
    a, b = stage.release("a"), stage.b()
    rough = stage.release("undrained", UNDRAINED)
    rougher = stage.release("undrained-too", {APP: swap(TEXT, "Asks for the time in any zone")}, "undrained")
    stage.return_to_a()
    load, seconds = _run(stage, a, b, ROUNDS)
    stage.deploy(rough)
    control, _ = _run(stage, rough, rougher, CONTROL_ROUNDS)
    return Row(
        name="downtime",
        what=f"failed requests during {ROUNDS} deploys and {ROUNDS} rollbacks",
        unit="requests",
        ours=load.failed,
        raw=control.failed,
        raw_what=f"the same without draining, {CONTROL_ROUNDS} deploys and {CONTROL_ROUNDS} rollbacks",
        limit=0,
        raw_more_than=0,
        notes=[
            f"{load.sent} requests in {seconds:.0f} s, half of them new connections; slowest {load.slowest:.2f} s",
            *(f"{count} x {error}" for error, count in load.errors.items()),
            f"control: {control.failed} of {control.sent} failed",
        ],
    )


def _run(stage: Stage, old: str, new: str, rounds: int) -> tuple[Load, float]:
    began = time.monotonic()
    with under_load(stage.c, f"http://127.0.0.1:{port(stage)}{PATH}") as load:
        time.sleep(2)
        for _ in range(rounds):
            stage.deploy(new)
            stage.rollback(old)
        time.sleep(SETTLE_SECONDS)
    return load, time.monotonic() - began


def port(stage: Stage) -> str:
    """The node port of the stage's service, on loopback."""
    words = ("service", "slipway-service", "--output=jsonpath={.spec.ports[0].nodePort}")
    return stage.user.kubectl("get", "--namespace", stage.namespace, *words)
