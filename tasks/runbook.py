"""What to do about an alert, in the terminal."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task


@task(
    auto_shortflags=False,
    help={
        "name": "alert or page of docs/runbooks; the bare word does too (default: lists all)",
        "env": "environment that the lines are for (default: $SLIPWAY_ENV stays in them, for the shell)",
    },
)
def runbook(c: Context, name: str = "", env: str = "") -> None:
    """Show what to do about an alert, as lines to type.

    Without a name all pages are listed. Nothing is run, asked or changed.
    Exit 2: there is no such page; the near ones are named.

    Usage: ./inv runbook HighErrorRate --env production
    """
    from tasks.lib import runbooks, settings, terminal

    environment = settings.load(env) if env else None
    if name:
        terminal.page(runbooks.filled(runbooks.find(name), environment))
        return
    terminal.table("", ("runbook", "when"), [(page.name, page.first_line(env)) for page in runbooks.pages()])
    terminal.say(f"  next: ./inv runbook NAME --env {env or 'production'}")
