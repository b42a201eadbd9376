"""The security gates: secrets, dependencies, configuration, code, image, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words

if TYPE_CHECKING:
    from tasks.lib.gates.models import Report

ENV = "environment whose policy counts (default: local)"
RELEASE = "commit to scan (default: HEAD)"
AGAIN = "scan even where nothing has changed since the last scan (default: answer from its evidence)"
SOURCE = {"env": ENV, "release": RELEASE, "again": AGAIN}


def _stop_unless_it_ran(report: Report) -> None:
    from tasks.lib.errors import Code, Stop
    from tasks.lib.gates import Outcome

    if report.outcome is Outcome.COULD_NOT_RUN:
        told = [note.removeprefix("next: ") for note in report.notes if note.startswith("next: ")]
        fix = told[0] if told else "./inv doctor"
        raise Stop(f"scan.{report.gate} could not run: {report.reason}", Code.COULD_NOT_RUN, fix)


def _source(c: Context, gate: str, env: str, release: str, again: bool) -> None:
    from tasks.lib import gates, git, settings

    _stop_unless_it_ran(gates.source(c, settings.load(env), git.resolve(c, release or "HEAD"), gate, again))


@task(default=True, name="all", help={**SOURCE, "dirty": words.DIRTY}, auto_shortflags=False)
def scan(c: Context, env: str = "local", release: str = "", dirty: bool = False, again: bool = False) -> None:
    """Scan secrets, requirements, configuration, code; judge.

    The four run at the same time; the verdict is over these four. The image is scanned by build.
    A commit that was scanned before with the same tools and databases is answered from that scan's evidence.
    """
    from tasks.lib import build, gates, git, settings

    environment = settings.load(env)
    sha = build.commit_of(c, environment, release, dirty) if dirty else git.resolve(c, release or "HEAD")
    gates.run_source(c, environment, sha, again)
    gates.verdict(c, environment, sha, gates.SOURCE_GATES)


@task(help=SOURCE, auto_shortflags=False)
def secrets(c: Context, env: str = "local", release: str = "", again: bool = False) -> None:
    """Look for secrets in commits not scanned before.

    Exit 0: it ran, whatever it found (scan.gate decides). Exit 4: it could not run.
    """
    _source(c, "secrets", env, release, again)


@task(help=SOURCE, auto_shortflags=False)
def deps(c: Context, env: str = "local", release: str = "", again: bool = False) -> None:
    """Look up every locked requirement in the advisories.

    Exit 0: it ran, whatever it found (scan.gate decides). Exit 4: it could not run.
    """
    _source(c, "deps", env, release, again)


@task(help=SOURCE, auto_shortflags=False)
def config(c: Context, env: str = "local", release: str = "", again: bool = False) -> None:
    """Check Dockerfile, rendered chart and Terraform.

    Exit 0: it ran, whatever it found (scan.gate decides). Exit 4: it could not run.
    """
    _source(c, "config", env, release, again)


@task(help=SOURCE, auto_shortflags=False)
def code(c: Context, env: str = "local", release: str = "", again: bool = False) -> None:
    """Analyse the Python and shell files of the commit.

    Exit 0: it ran, whatever it found (scan.gate decides). Exit 4: it could not run.
    """
    _source(c, "code", env, release, again)


@task(
    help={"env": ENV, "release": RELEASE, "image": "reference to scan (default: the archive that image.build left)"},
    auto_shortflags=False,
)
def image(c: Context, env: str = "local", release: str = "", image: str = "") -> None:
    """Look up every package of the built image; write its SBOM.

    Exit 0: it ran, whatever it found (scan.gate decides). Exit 4: it could not run.
    """
    from tasks.lib import build, gates, git, settings

    environment = settings.load(env)
    sha = git.resolve(c, release or "HEAD")
    _stop_unless_it_ran(gates.image(c, environment, sha, image) if image else build.scan_image(c, environment, sha))


@task(
    help={
        "env": "environment whose places and policy count (default: local)",
        "export": "also write them into this folder, for gates.mirrors of machines without a network",
        "json": "print one JSON object (default: a table)",
    },
    auto_shortflags=False,
)
def update(c: Context, env: str = "local", export: str = "", json: bool = False) -> None:
    """Fetch or build the scanners' databases; say what there is.

    What is there stays until its successor arrived whole. A scan does the same for what was asked for six hours ago.
    Exit 0: the environment accepts what there is, newly fetched or kept. Exit 4: it does not.

    Usage: ./inv scan.update --env production
    """
    import contextlib
    import sys
    from pathlib import Path

    from tasks.lib import settings, terminal
    from tasks.lib.gates import update

    environment = settings.load(env)
    with contextlib.redirect_stdout(sys.stderr if json else sys.stdout):
        rows = update.update(c, environment)
        for path in update.export(c, environment, Path(export).resolve()) if export else []:
            terminal.say(f"wrote {path}")
    if json:
        terminal.raw(update.as_json(environment, rows))
    else:
        update.show(environment, rows)
    update.conclude(environment, rows, quiet=json)


@task(
    help={"env": ENV, "release": RELEASE, "require": "gates that must have a report, by comma (default: all five)"},
    auto_shortflags=False,
)
def gate(c: Context, env: str = "local", release: str = "", require: str = "") -> None:
    """Judge the reports of a commit; fails on findings.

    Exit 3: findings block. Exit 4: a report is missing or its gate could not run, which outranks findings.
    """
    from tasks.lib import gates, git, settings
    from tasks.lib.errors import Code, Stop

    required = [name.strip() for name in require.split(",") if name.strip()] or list(gates.GATES)
    unknown = sorted(set(required) - set(gates.GATES))
    if unknown:
        raise Stop(
            f"--require: unknown {', '.join(unknown)}; known: {', '.join(gates.GATES)}", Code.USAGE, "./inv scan.gate"
        )
    gates.verdict(c, settings.load(env), git.resolve(c, release or "HEAD"), required)
