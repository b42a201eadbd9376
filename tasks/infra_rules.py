"""What the infrastructure may be: our own rules and checkov's."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(auto_shortflags=False, help={"env": words.ENV})
def policy(c: Context, env: str = "local") -> None:
    """Hold the files, or a saved plan, against our rules.

    Exit 3 when one is broken. Without a saved plan of this commit, only what the files say is looked at.

    Usage: ./inv infra.policy --env staging
    """
    from tasks.lib import settings, terminal
    from tasks.lib.infra import place, showing

    here = place.describe(c, settings.load(env))
    found = showing.saved(c, here)
    if found is None:
        terminal.say(f"there is no saved plan of this commit; looking at the files (./inv infra.plan --env {env})")
    showing.refuse(showing.violations(here, found), env)
    terminal.good(f"{env} keeps the rules")


@task(auto_shortflags=False, help={"env": "whose variables count (default: production)"})
def checkov(c: Context, env: str = "production") -> None:
    """Hold the files against checkov's rules; exit 3.

    With the environment's variables. An exception is a waiver in gitops/waivers.yaml that names `infra`. Installs
    checkov where it is missing: some 220 MB.

    Usage: ./inv infra.checkov
    """
    from tasks.lib import settings, terminal
    from tasks.lib.infra import checkov as scanner
    from tasks.lib.infra import place, showing

    here = place.describe(c, settings.load(env))
    judged = scanner.judge(c, here)
    showing.refuse(showing.tell(judged), env)
    terminal.good(f"{env}: {judged.asked} answers of checkov, {len(judged.waived)} of them waived, none open")
