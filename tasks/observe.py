"""Alerts: whether they are right."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task


@task(
    auto_shortflags=False,
    help={"fix": "first write what is generated from slo.yaml, links.yaml and the rules (default: change nothing)"},
)
def alerts(c: Context, fix: bool = False) -> None:
    """Check and unit-test alert rules, routes and their links.

    promtool check and test, amtool check-config and routes, and lints: labels, annotations, runbooks, series.
    Exit 3: a check found something. Exit 4: one could not run, which outranks findings.
    """
    from tasks.lib import terminal
    from tasks.lib.errors import Code, Stop
    from tasks.lib.observe import checks, files, rules

    for path in rules.write() if fix else []:
        terminal.say(f"wrote {files.shown(path)}")
    with terminal.step("Check the alerts"):
        results = checks.alerts(c)
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
            raise Stop(f"observe.alerts: {state}: {', '.join(names)}", code)
