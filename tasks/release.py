"""A release in the registry: read its signed record, and check it as deploy would."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words

RELEASE = "commit whose release it is: SHA, branch or tag (default: HEAD)"


@task(
    auto_shortflags=False,
    help={"release": RELEASE, "env": words.ENV, "json": "print the signed statement as JSON (default: a summary)"},
)
def show(c: Context, release: str = "", env: str = "local", json: bool = False) -> None:
    """Show a release's record: what, from what, gates, who.

    The signature is verified first: exit 5 when it does not hold, and then nothing of the record is shown.
    """
    from tasks.lib import releases, settings, terminal

    seen = releases.find(c, settings.load(env), release)
    if json:
        terminal.raw(seen.record.text().rstrip())
    else:
        releases.show(seen)
        terminal.say(f"  next: ./inv release.verify --env {env} --release {seen.release.revision[:12]}")


@task(auto_shortflags=False, help={"release": RELEASE, "env": words.ENV})
def verify(c: Context, release: str = "", env: str = "local") -> None:
    """Check a release as deploy would, field by field.

    Exit 5: it may not run in this environment; the first field that says so is named.
    """
    from tasks.lib import releases, settings, terminal
    from tasks.lib import verify as verifying

    environment = settings.load(env)
    seen, found = releases.examine(c, environment, release)
    rows = [("no" if check.problem else "yes", check.field, check.problem or check.says) for check in found]
    terminal.table(f"Release {seen.release.revision[:12]} for {env}", ("", "field", "says"), rows)
    verifying.demand(found, seen.release.revision, environment)
    terminal.good(f"{len(found)} checks hold: {env} takes {seen.release.revision[:12]}")
