"""An environment's repository in ECR for people: its rules, what its lifecycle would delete, and making it."""

from __future__ import annotations

import json

from invoke.context import Context

from tasks.lib import desired, settings, terminal
from tasks.lib import target as targets
from tasks.lib.aws import ecr, lifecycle, session
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import Environment


def place(env: Environment) -> ecr.Place:
    """The environment's repository. Raises Stop (2) when its registry is not logged in to through AWS."""
    if env.registry is None or not env.registry.is_ecr:
        raise Stop(
            f"the registry of {env.name} is not ECR", Code.USAGE, f"registry.kind in {env.folder}/environment.yaml"
        )
    return ecr.Place(env.infra, env.registry.repository)


def create(env: Environment, yes: bool) -> None:
    """Makes or corrects the repository, once the plan is agreed to. Raises Stop 4, or 5 when it is not."""
    here = place(env)
    session.identity(here.infra, f"make the repository {here.name}")
    found = ecr.describe(here)
    if found and found.keeps_tags and found.scanning.scan_on_push:
        terminal.say(f"{here.repository} has these rules already")
        return
    before = (_mutability(found), str(found.scanning.scan_on_push).lower()) if found else ("not there", "-")
    rows = [("tags", before[0], f"{ecr.IMMUTABLE}, except {ecr.MOVABLE}"), ("scan on push", before[1], "true")]
    terminal.table(f"Plan for {here.repository}", ("", "now", "then"), rows)
    terminal.confirm(f"Make it so in account {here.infra.account_id}?", yes or not env.ask)
    with terminal.step(f"Make the repository {here.name}"):
        ecr.ensure(here)
    terminal.good(f"{here.repository} is there")


def show(c: Context, env: Environment) -> list[tuple[lifecycle.Expiring, str]]:
    """Prints the repository and what its lifecycle policy would delete now.

    Returns those images among them that an environment with this repository runs or may be rolled back to, each with
    the environment's name. Raises Stop (4).
    """
    here = place(env)
    session.identity(here.infra, f"describe the repository {here.name}")
    found, policy = ecr.demand(here), lifecycle.policy(here)
    rows = [("tags", _mutability(found)), ("scan on push", str(found.scanning.scan_on_push).lower())]
    terminal.table(
        f"Repository {found.uri}", ("", ""), [*rows, ("lifecycle", json.dumps(policy) if policy else "none")]
    )
    if policy is None:
        return []
    with terminal.step("Ask ECR what the lifecycle policy would delete"):
        expiring = lifecycle.with_subjects(here, lifecycle.preview(here))
    with terminal.step("Ask Git what environments need"):
        needed = lifecycle.held(desired.fetch(c, targets.of(c, other)) for other in _sharing(here))
    endangered = lifecycle.endangered(expiring, needed)
    by_digest = {one.digest: name for one, name in endangered}
    lines = [(one.digest[:19], _tags(one), one.rule, by_digest.get(one.digest, "-")) for one in expiring]
    terminal.table("Would be deleted now", ("image", "tags", "rule", "needed by"), lines)
    return endangered


def _tags(one: lifecycle.Expiring) -> str:
    tags = ", ".join(tag[:12] for tag in one.tags or one.about)
    return f"attached to {tags}" if one.about else tags or "-"


def _mutability(found: ecr.Repository) -> str:
    excluded = ", ".join(one.filter for one in found.excluded)
    return f"{found.mutability}{f', except {excluded}' if excluded else ''}"


def _sharing(here: ecr.Place) -> list[Environment]:
    """The environments of this checkout whose images are in the same repository."""
    found = [settings.load(name) for name in settings.known()]
    return [env for env in found if env.registry is not None and env.registry.repository == here.repository]
