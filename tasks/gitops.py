"""The parts of deploy, each usable alone: desired state in Git, Argo CD in the cluster."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(auto_shortflags=False, help={"env": words.ENV})
def install(c: Context, env: str = "local") -> None:
    """Install Argo CD's project and ApplicationSet in the cluster."""
    from tasks.lib import applicationset, kube, settings, target, terminal

    here = target.of(c, settings.load(env))
    cluster = kube.connect(here)
    with kube.answering(here):
        changed = applicationset.install(c, here, cluster)
    terminal.good("installed" if changed else "already as it should be")


@task(
    auto_shortflags=False,
    help={"env": words.ENV, "release": words.RELEASE, "dirty": words.DIRTY, "reason": words.REASON, "yes": words.YES},
)
def bump(
    c: Context, env: str = "local", release: str = "", dirty: bool = False, reason: str = "", yes: bool = False
) -> None:
    """Commit a pushed release into the desired state."""
    from tasks.lib import argo, build, delivery, desired, publish, settings, target, terminal

    environment = settings.load(env)
    sha = build.commit_of(c, environment, release, dirty)
    d = delivery.open_(c, environment, up=False)
    wanted = publish.ready(c, d.target, target.engine(c, environment, up=False), sha)
    before = desired.fetch(c, d.target)
    desired.adopt(c, before, sha)
    delivery.show_plan(d, before, wanted)
    if before.release != wanted and environment.ask:
        terminal.confirm(f"Bump {env} to {sha[:12]}?", yes)
    delivery.bump(d, wanted, reason)
    argo.look_at_git(c, d.target)
    terminal.good(f"{env} wants {sha[:12]}")


@task(auto_shortflags=False, help={"env": words.ENV})
def sync(c: Context, env: str = "local") -> None:
    """Ask Argo CD to look at Git now instead of at its next poll."""
    from tasks.lib import argo, kube, settings, target, terminal

    environment = settings.load(env)
    here = target.of(c, environment, up=target.begun(environment))
    cluster = kube.connect(here)
    with kube.answering(here):
        argo.refresh(cluster, here.env.application)
    terminal.good("asked")


@task(auto_shortflags=False, help={"env": words.ENV})
def wait(c: Context, env: str = "local") -> None:
    """Wait until the release that Git asks for has arrived."""
    from tasks.lib import arrival, delivery, desired, settings, target, terminal
    from tasks.lib.errors import Code, Stop

    environment = settings.load(env)
    d = delivery.open_(c, environment, up=target.begun(environment))
    wanted = desired.fetch(c, d.target).release
    if not wanted:
        raise Stop(f"nothing is deployed in {env}", Code.REFUSED, f"./inv deploy --env {env}")
    try:
        with terminal.step(f"Arrive in {env}") as note:
            arrival.wait(d.cluster, d.target, wanted, lambda: d.wants(wanted), note)
    except arrival.NotArrived as error:
        raise Stop(
            f"{wanted.revision[:12]} in {env}: {error}", Code.UNHEALTHY, f"./inv rollback --env {env}"
        ) from error
    terminal.good(f"{env} runs {wanted.revision[:12]}")


@task(auto_shortflags=False, help={"env": words.ENV})
def drift(c: Context, env: str = "local") -> None:
    """Show where the cluster differs from Git; exit 3 if it does."""
    from tasks.lib import settings, status, terminal
    from tasks.lib.errors import Code, Stop

    found = status.drift(c, settings.load(env))
    if not found:
        terminal.good(f"{env} is what Git says")
        return
    terminal.table("", ("what", "how"), found)
    raise Stop(f"{env} drifted in {len(found)} places", Code.FINDINGS, f"./inv gitops.sync --env {env}")
