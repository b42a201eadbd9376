"""AWS as code: Terraform planned, applied and watched; `local` is moto's server on this machine."""

from __future__ import annotations

import json as json_format

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words

CONFIRM = "name of a resource with state that may be destroyed or replaced; can be given several times"


@task(auto_shortflags=False, help={"env": words.ENV, "yes": words.YES})
def bootstrap(c: Context, env: str = "local", yes: bool = False) -> None:
    """Make the state bucket, or bring it back to order.

    Versions, encryption, no public access, no plain HTTP. A second run changes nothing.

    Usage: ./inv infra.bootstrap --env staging
    """
    from tasks.lib import settings, terminal
    from tasks.lib.infra import bootstrap as bucket
    from tasks.lib.infra import place

    environment = settings.load(env)
    infra = place.account(environment)
    wanted = bucket.settings(infra)
    terminal.table(f"State bucket {infra.bucket}", ("what", "now", "then"), [(s.what, s.now, s.wanted) for s in wanted])
    if all(setting.holds for setting in wanted):
        terminal.good("already as it should be")
        return
    if environment.ask:
        terminal.confirm(f"Do this in account {infra.account_id}?", yes)
    terminal.good(f"{bucket.make(wanted)} settings made; next: ./inv infra.plan --env {env}")


@task(
    auto_shortflags=False,
    help={"env": words.ENV, "lock": "hold the state's lock meanwhile (default); --no-lock for a role that only reads"},
)
def plan(c: Context, env: str = "local", lock: bool = True) -> None:
    """Plan, show what would change, and save the plan.

    The saved plan is of this commit, environment and variables; infra.apply takes no other. Exit 3 when the policy says
    no. A pipeline finds GitLab's report in .slipway/infra/ENV/plan/gitlab.json. Without the lock an apply may change
    the state meanwhile; the plan is stale then, and infra.apply refuses it.

    Usage: ./inv infra.plan --env staging
    """
    from tasks.lib import settings, terminal
    from tasks.lib.infra import place, plans, showing, terraform

    here = place.describe(c, settings.load(env))
    with terraform.ready(c, here) as ready, showing.ahead(here):
        showing.unrecorded(ready)
        found = plans.make(ready, lock=lock)
    showing.plan(here, found)
    if found.empty:
        terminal.good(f"{env} is what the files say; nothing to apply")
    else:
        terminal.good(f"saved; apply it with: ./inv infra.apply --env {env}")
    showing.refuse(showing.violations(here, found), env)


@task(auto_shortflags=False, iterable=["confirm"], help={"env": words.ENV, "yes": words.YES, "confirm": CONFIRM})
def apply(c: Context, confirm: list[str] | None = None, env: str = "local", yes: bool = False) -> None:
    """Apply the saved plan, if nothing changed since.

    It must be of this commit, environment and variables, and is used once.

    Asks; a resource with state is destroyed or replaced only when its name is typed, or given with --confirm.

    Usage: ./inv infra.apply --env staging
    """
    from tasks.lib import settings, terminal
    from tasks.lib.infra import applying, place, plans, showing, terraform

    here = place.describe(c, settings.load(env))
    plans.load(here)
    with terraform.ready(c, here) as ready:
        plans.load(here)  # another process may have applied it while this one waited
        with showing.ahead(here):
            found = plans.read(ready, here.saved / plans.PLAN)
        showing.plan(here, found)
        showing.refuse(showing.violations(here, found), env)
        if found.empty:
            terminal.good(f"{env} is what the files say; nothing to apply")
            return
        applying.agree(here, found, yes, confirm or [])
        applying.apply(ready, found)
    terminal.good(f"{env} is what commit {here.commit[:12]} says: {len(found.acting)} changes made")


@task(
    auto_shortflags=False,
    iterable=["confirm"],
    help={
        "env": words.ENV,
        "yes": words.YES,
        "i-know": "needed where the environment is protected",
        "confirm": "the environment's name, where it is protected",
    },
)
def destroy(
    c: Context, confirm: list[str] | None = None, env: str = "local", yes: bool = False, i_know: bool = False
) -> None:
    """Take everything of an environment away.

    Shows what that is and asks. An environment that is `protected` wants --i-know and its name as well.

    Usage: ./inv infra.destroy --env staging
    """
    from tasks.lib import settings, terminal
    from tasks.lib.infra import applying, destroying, place, plans, showing, terraform

    environment = settings.load(env)
    destroying.allow(environment, i_know, confirm or [])
    here = place.describe(c, environment)
    with terraform.ready(c, here) as ready:
        found = plans.make(ready, destroy=True)
        showing.plan(here, found)
        if found.empty:
            plans.forget(here)
            terminal.good(f"{env} holds nothing")
            return
        destroying.agree(here, found, yes)
        applying.apply(ready, found, "destroy")
        destroying.verify(ready)
    terminal.good(f"{env} is gone ({len(found.acting)} resources); the state bucket stays")


@task(auto_shortflags=False, help={"env": words.ENV, "json": "print the differences as JSON (default: a table)"})
def drift(c: Context, env: str = "local", json: bool = False) -> None:
    """Show what was changed behind Terraform's back; exit 3.

    Compares the state with AWS; changes neither.

    Usage: ./inv infra.drift --env production
    """
    from tasks.lib import settings, terminal
    from tasks.lib.errors import Code, Stop
    from tasks.lib.infra import drift as drifting
    from tasks.lib.infra import place, terraform

    here = place.describe(c, settings.load(env))
    with terraform.ready(c, here) as ready:
        found = drifting.find(ready)
    rows = drifting.rows(found)
    columns = ("resource", "what", "recorded", "real")
    if json:
        terminal.raw(json_format.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=1))
    elif rows:
        terminal.table("", columns, rows)
    if found:
        raise Stop(f"{env} drifted: {len(found)} resources differ", Code.FINDINGS, f"./inv infra.plan --env {env}")
    if not json:
        terminal.good(f"{env} is what its state says")


@task(auto_shortflags=False, help={"env": words.ENV, "yes": words.YES})
def unlock(c: Context, env: str = "local", yes: bool = False) -> None:
    """Take away the lock that a killed run left on the state.

    Shows whose it is and asks: a lock may also be of somebody who is at work.

    Usage: ./inv infra.unlock --env staging
    """
    from tasks.lib import settings, terminal
    from tasks.lib.infra import place, state, terraform

    environment = settings.load(env)
    here = place.describe(c, environment)
    with terraform.ready(c, here) as ready:
        held = state.lock(ready.place)
        if held is None:
            terminal.good(f"the state of {env} is not locked")
            return
        rows = [("lock", held.id), ("by", held.who), ("since", held.created), ("for", held.operation)]
        terminal.table("", ("what", "value"), rows)
        terminal.confirm("Is nobody at work on it any more? Take the lock away?", yes or not environment.ask)
        state.unlock(ready, held)
    terminal.good(f"unlocked; what is left to do: ./inv infra.plan --env {env}")
