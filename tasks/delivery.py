"""The way of a release: build, push, deploy, roll back, look."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(auto_shortflags=False, help={"env": words.ENV, "release": words.RELEASE, "dirty": words.DIRTY})
def build(c: Context, env: str = "local", release: str = "", dirty: bool = False) -> None:
    """Build and scan the image, write SBOM and release record."""
    from tasks.lib import build, settings, terminal

    environment = settings.load(env)
    sha = build.commit_of(c, environment, release, dirty)
    record = build.build(c, environment, sha)
    terminal.good(f"built {sha[:12]} (image {record.predicate.image_id[7:19]}); all gates passed, record written")
    terminal.say(f"  next: ./inv deploy --env {env}")


@task(auto_shortflags=False, help={"env": words.ENV, "release": words.RELEASE, "dirty": words.DIRTY})
def record(c: Context, env: str = "local", release: str = "", dirty: bool = False) -> None:
    """Write the release record of what was built and scanned.

    The last part of build, for pipelines that build and scan in jobs of their own: nothing is built or scanned again.
    Exit 3: findings block. Exit 4: the image, its SBOM or a report is missing, or they are not of one image.
    """
    from tasks.lib import build, settings, terminal

    environment = settings.load(env)
    sha = build.commit_of(c, environment, release, dirty)
    written = build.write_record(c, environment, sha)
    terminal.good(f"recorded {sha[:12]} (image {written.predicate.image_id[7:19]}); all gates passed")
    terminal.say(f"  next: ./inv push --env {env}")


@task(auto_shortflags=False, help={"env": words.ENV, "release": words.RELEASE, "dirty": words.DIRTY})
def push(c: Context, env: str = "local", release: str = "", dirty: bool = False) -> None:
    """Push the image (SHA tag and latest) and its record."""
    from tasks.lib import build, publish, settings, target, terminal

    environment = settings.load(env)
    sha = build.commit_of(c, environment, release, dirty)
    pushed, _ = publish.push(c, target.of(c, environment), target.engine(c, environment), sha)
    terminal.good(f"pushed {pushed.image}")


@task(
    auto_shortflags=False,
    help={
        "env": words.ENV,
        "release": words.RELEASE,
        "dirty": words.DIRTY,
        "yes": words.YES,
        "reason": words.REASON,
        "lift-hold": "why the hold of an earlier rollback no longer counts (default: holds count)",
        "report": words.REPORT,
        "watch": words.WATCH,
    },
)
def deploy(
    c: Context,
    env: str = "local",
    release: str = "",
    dirty: bool = False,
    yes: bool = False,
    reason: str = "",
    lift_hold: str = "",
    report: bool = False,
    watch: str = "1m",
) -> None:
    """Deploy a commit and prove that it arrived, or take it back."""
    from tasks.lib import build, deploying, settings
    from tasks.lib.observe import report as reports

    environment = settings.load(env)
    watching = reports.watch(watch)
    sha = build.commit_of(c, environment, release, dirty)
    with reports.around(c, environment, watching if report else None):
        deploying.deploy(c, environment, sha, yes=yes, reason=reason, lift=lift_hold)


@task(
    auto_shortflags=False,
    help={
        "env": words.ENV,
        "to": "release to return to, SHA or its beginning (default: the last one that arrived healthy)",
        "reason": words.REASON,
        "yes": words.YES,
        "report": words.REPORT,
        "watch": words.WATCH,
    },
)
def rollback(
    c: Context,
    env: str = "local",
    to: str = "",
    reason: str = "",
    yes: bool = False,
    report: bool = False,
    watch: str = "1m",
) -> None:
    """Return to an earlier healthy release and hold the bad one."""
    from tasks.lib import rollback, settings
    from tasks.lib.observe import report as reports

    environment = settings.load(env)
    watching = reports.watch(watch)
    with reports.around(c, environment, watching if report else None):
        rollback.rollback(c, environment, to=to, reason=reason, yes=yes)


@task(auto_shortflags=False, help={"env": words.ENV})
def smoke(c: Context, env: str = "local") -> None:
    """Run the smoke test against the release that should run."""
    from tasks.lib import delivery, desired, kube, settings, smoke, target, terminal
    from tasks.lib.errors import Code, Stop

    environment = settings.load(env)
    d = delivery.open_(c, environment, up=target.begun(environment))
    wanted = desired.fetch(c, d.target).release
    if not wanted:
        raise Stop(f"nothing is deployed in {env}", Code.REFUSED, f"./inv deploy --env {env}")
    try:
        with kube.answering(d.target), terminal.step(f"Smoke test of {wanted.revision[:12]} in {env}") as note:
            passed = smoke.run(d.cluster, d.target, wanted.revision, note)
    except smoke.Failed as failure:
        raise Stop(f"smoke test in {env}: {failure}", Code.UNHEALTHY, f"./inv rollback --env {env}") from failure
    terminal.good(f"{passed} checks passed")


@task(auto_shortflags=False, help={"env": "one environment (default: all)"})
def status(c: Context, env: str = "") -> None:
    """Show what runs where, since when, and is it healthy."""
    from tasks.lib import status, terminal

    terminal.table("", status.COLUMNS, [row.cells() for row in status.rows(c, [env] if env else [])])
