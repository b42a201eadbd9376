"""This repository's own checks: lint, tests, and whether two machines did the same."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task


@task(
    auto_shortflags=False,
    help={"fix": "correct what ruff can correct, formatting included, then check (default: change nothing)"},
)
def lint(c: Context, fix: bool = False) -> None:
    """Check code, shell, YAML, pipeline and documents.

    All checks run. Exit 3: at least one found something. Exit 4: at least one could not run.
    """
    from tasks.lib import ci, quality, terminal
    from tasks.lib.errors import Code, Stop

    if fix:
        quality.fix(c)
    results = quality.lint(c)
    for result in results:
        if result.state != "ok":
            terminal.bad(f"{result.name}: {result.state}")
            with ci.section(f"{result.name} said"):
                terminal.say(result.output)
    terminal.table("", ("check", "result", "seconds"), [(r.name, r.state, f"{r.seconds:.1f}") for r in results])
    broken = [result.name for result in results if result.state == "could not run"]
    found = [result.name for result in results if result.state == "findings"]
    if broken:
        raise Stop(f"lint could not run: {', '.join(broken)}", Code.COULD_NOT_RUN, "./inv doctor")
    if found:
        raise Stop(f"lint found something: {', '.join(found)}", Code.FINDINGS, "" if fix else "./inv lint --fix")


@task(
    auto_shortflags=False,
    help={
        "lab": "also run the tests that need the local platform (--no-lab leaves them out)",
        "fast": "leave out those, and the tests that take longer than half a second",
        "k": "only tests whose names match, as pytest -k takes it (default: all)",
        "junit": "also write the results to this JUnit XML file",
    },
)
def test(c: Context, lab: bool = True, fast: bool = False, k: str = "", junit: str = "") -> None:
    """Run the tests; brings the local platform up for them.

    A platform that was not up before is taken down again. Exit 3: a test failed.
    """
    from tasks.lib import quality

    quality.test(c, lab=lab, fast=fast, match=k, junit=junit)


@task(
    auto_shortflags=False,
    help={
        "left": "trace of one machine: the file that SLIPWAY_TRACE named there",
        "right": "trace of the other",
        "log": "log of the job that left the right one; its lines must all be accounted for (default: not looked at)",
    },
)
def parity(c: Context, left: str = "", right: str = "", log: str = "") -> None:
    """Compare what two machines did, call by call.

    Tasks leave a trace in the file that SLIPWAY_TRACE names: inputs, calls, exit codes and outputs, without what
    belongs to a machine or an hour. Exit 3: they differ.
    """
    from pathlib import Path

    from tasks.lib import parity, terminal
    from tasks.lib.errors import Code, Stop

    if not left or not right:
        raise Stop("parity compares two traces: --left and --right are required", Code.USAGE, "./inv parity --help")
    ours, theirs = parity.load(Path(left)), parity.load(Path(right))
    differences = parity.compare(ours, theirs)
    if log:
        differences += parity.lines(Path(log), theirs)
    if not differences:
        terminal.good(f"the same: {', '.join(run.task for run in ours)}")
        return
    rows = [(one.task, one.what, one.left[: parity.SHOWN], one.right[: parity.SHOWN]) for one in differences]
    terminal.table("", ("task", "what", "left", "right"), rows)
    raise Stop(f"parity: {len(rows)} differences", Code.FINDINGS, "./inv parity --help")
