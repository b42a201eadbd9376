"""The way from one environment into the next: promote, approve, stop the line, and why a commit is where it is."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(
    auto_shortflags=False,
    help={
        "from": "environment that the release soaked in (default: promotion.from of the other one)",
        "to": "environment that it goes to (default: production)",
        "release": "an earlier release that soaked there: SHA, branch or tag (default: what runs there now)",
        "reason": "why, for the log; with --release it also lifts a hold",
        "yes": words.YES,
        "report": words.REPORT,
        "watch": words.WATCH,
    },
)
def promote(
    c: Context,
    from_: str = "",
    to: str = "production",
    release: str = "",
    reason: str = "",
    yes: bool = False,
    report: bool = False,
    watch: str = "1m",
) -> None:
    """Take a release that soaked into the next environment.

    Only what arrived and stayed healthy for its soak time, whose signed record satisfies the policy there, with the
    approvals that it asks for, outside freezes and holds. What does not become healthy there is taken back.
    Exit 5: a rule refuses; it is named, with since when, until when, and what to type.

    Usage: ./inv promote --from staging --to production
    """
    from tasks.lib import promotion, settings
    from tasks.lib.observe import report as reports

    env = settings.load(to)
    source = settings.load(from_ or (env.promotion.from_ if env.promotion else "staging"))
    watching = reports.watch(watch)
    with reports.around(c, env, watching if report else None):
        promotion.promote(c, source, env, release, yes, reason)


@task(
    auto_shortflags=False,
    help={
        "env": "environment that the release may go to (default: production)",
        "release": "the release: SHA, branch or tag (default: what runs in the environment before)",
        "reason": words.REASON,
        "yes": words.YES,
    },
)
def approve(c: Context, env: str = "production", release: str = "", reason: str = "", yes: bool = False) -> None:
    """Agree to a promotion, with a signed commit.

    Signs with the SSH key of your Git (user.signingKey). It counts when gitops/allowed_signers lists the key and you
    are not the release's author.

    Usage: ./inv approve --env production --release 4f2c9e1
    """
    from tasks.lib import approving, settings

    approving.approve(c, settings.load(env), release, reason, yes)


@task(
    auto_shortflags=False,
    help={
        "env": words.ENV,
        "until": "when it ends: 2026-12-24T18:00 (UTC), a time with its zone, a date, or a duration such as 4h, 2d",
        "reason": "why; whoever is refused reads it",
        "yes": words.YES,
    },
)
def freeze(c: Context, env: str = "local", until: str = "", reason: str = "", yes: bool = False) -> None:
    """Stop the line of an environment until a moment.

    Deploy and promote refuse until then; rollback stays allowed. It ends by itself.

    Usage: ./inv freeze --env production --until 4h --reason "database moves"
    """
    from tasks.lib import freezing, settings

    freezing.freeze(c, settings.load(env), until, reason, yes)


@task(
    auto_shortflags=False,
    help={"env": words.ENV, "reason": "why it ends before its time", "yes": words.YES},
)
def unfreeze(c: Context, env: str = "local", reason: str = "", yes: bool = False) -> None:
    """End a freeze before its time."""
    from tasks.lib import freezing, settings

    freezing.unfreeze(c, settings.load(env), reason, yes)


@task(
    auto_shortflags=False,
    help={"release": "the commit: SHA, branch or tag (default: HEAD)", "env": "one environment (default: all)"},
)
def why(c: Context, release: str = "", env: str = "") -> None:
    """Show where a commit is, who moved it and what blocks it.

    Its gates, the environments that run it or ran it, and every rule that would refuse its promotion now.

    Usage: ./inv why --release 4f2c9e1
    """
    from tasks.lib import git, settings, why

    why.show(c, git.resolve(c, release or "HEAD"), [env] if env else settings.known())
