"""See everything: alerts that are proven, dashboards as code, the delivery log as metrics, panels drawn."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(
    auto_shortflags=False,
    help={
        "fix": "first write what is generated from slo.yaml, links.yaml and the rules (default: change nothing)",
        "against": "address of a Prometheus that must have every series (default: the environment's, if it has one)",
        "env": words.ENV,
    },
)
def alerts(c: Context, fix: bool = False, against: str = "", env: str = "local") -> None:
    """Check and unit-test alert rules, routes and their links.

    promtool check and test, amtool check-config and routes, and lints: labels, annotations, runbooks, series.
    Where there is a Prometheus: whether it has every series that rules and panels ask for.
    Exit 3: a check found something. Exit 4: one could not run, which outranks findings.
    """
    from tasks.lib import settings, terminal
    from tasks.lib.errors import Code, Stop
    from tasks.lib.observe import checks, existing, files, rules, snapshot

    environment = settings.load(env)
    address = snapshot.known_address(environment, against)
    # Nobody named the lab's, and what is not deployed there has no series.
    if address and not (against or environment.observe.prometheus) and not existing.scraped(address, environment):
        terminal.warn(f"no series was asked for: nothing of {env} runs in the lab. next: ./inv deploy --env {env}")
        address = ""
    for path in rules.write() if fix else []:
        terminal.say(f"wrote {files.shown(path)}")
    with terminal.step("Check the alerts"):
        results = checks.alerts(c, against=(address, environment) if address else None)
    for result in results:
        if result.state != "ok":
            terminal.bad(f"{result.name}: {result.state}")
            terminal.say(result.output)
    terminal.table(
        "",
        ("check", "result", "seconds", "looked at"),
        [(r.name, r.state, f"{r.seconds:.1f}", r.output if r.state == "ok" else "see above") for r in results],
    )
    for state, code in (("could not run", Code.COULD_NOT_RUN), ("findings", Code.FINDINGS)):
        if names := [result.name for result in results if result.state == state]:
            again = "./inv observe.alerts, when what is listed above is mended"
            raise Stop(f"observe.alerts: {state}: {', '.join(names)}", code, again)


@task(auto_shortflags=False, help={"check": "change nothing; exit 3 when something is out of date (default: write)"})
def dashboards(c: Context, check: bool = False) -> None:
    """Build the dashboards and their ConfigMaps.

    From alerts/dashboards into its folder generated/, which is checked in.
    """
    from tasks.lib import terminal
    from tasks.lib.errors import Code, Stop
    from tasks.lib.observe import dashboards, panels

    with terminal.step("Build the dashboards"):
        made = dashboards.build(c)
    if check:
        if old := dashboards.stale(made, panels.GENERATED):
            names = ", ".join(path.name for path in old)
            raise Stop(f"dashboards: out of date: {names}", Code.FINDINGS, "./inv observe.dashboards")
        terminal.good(f"{len(made)} files are current")
        return
    changed = dashboards.write(made, panels.GENERATED)
    for path in changed:
        terminal.say(f"  {path.name}")
    terminal.good(f"{len(changed)} of {len(made)} files changed" if changed else f"{len(made)} files are current")


@task(
    auto_shortflags=False,
    help={
        "env": words.ENV,
        "out": "file to write, whole or not at all (default: .slipway/metrics/slipway_ENV.prom)",
        "drift": "also ask the cluster whether it is what Git says (default: only Git and the registry are asked)",
    },
)
def metrics(c: Context, env: str = "local", out: str = "", drift: bool = False) -> None:
    """Write the delivery log as Prometheus metrics.

    From the Git log of the environment and the signed record of what runs there. In a cron job, with the folder of
    node-exporter's textfile collector, Prometheus has them.

    Usage: ./inv observe.metrics --env staging --out /var/lib/prometheus/node-exporter/slipway_staging.prom
    """
    from datetime import datetime, timezone
    from pathlib import Path

    from tasks.lib import paths, settings, terminal
    from tasks.lib.gates.store import write_text
    from tasks.lib.observe import delivery, delivery_text

    file = Path(out) if out else paths.work() / "metrics" / f"slipway_{env}.prom"
    with terminal.step(f"Read the delivery log of {env}"):
        known, missing = delivery.look(c, settings.load(env), datetime.now(timezone.utc), drift)
    if missing:
        terminal.warn(f"gate outcomes are left out: {missing}")
    write_text(file, delivery_text.text(known))
    terminal.good(f"wrote {file}")


@task(
    auto_shortflags=False,
    help={
        "env": words.ENV,
        "since": "how far back to look: a number and s, m, h or d (default: 1h)",
        "prometheus": "address of Prometheus (default: observe.prometheus of environment.yaml, or the lab's)",
        "out": "folder for the pictures and the page (default: a new one in .slipway/snapshots)",
    },
)
def snapshot(c: Context, env: str = "local", since: str = "1h", prometheus: str = "", out: str = "") -> None:
    """Draw every panel, on a page that can be sent.

    Usage: ./inv observe.snapshot --env staging --since 4h
    """
    from pathlib import Path

    from tasks.lib import settings, terminal
    from tasks.lib.observe import snapshot

    span = snapshot.duration(since)
    made = snapshot.take(c, settings.load(env), span, prometheus, Path(out) if out else None)
    if made.empty:
        terminal.warn(f"no data: {', '.join(made.empty)}")
    terminal.good(f"{len(made.panels)} panels: {made.page}")
