"""Approve: a signed commit that names the release and the environment that it may go to."""

from __future__ import annotations

from invoke.context import Context

from tasks.lib import approvals, delivery, desired, git, paths, promotion_rules, settings, terminal
from tasks.lib.desired import Change, State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action
from tasks.lib.settings import Environment
from tasks.lib.values import Release


def approve(c: Context, env: Environment, release: str = "", reason: str = "", yes: bool = False) -> None:
    """Signs an approval. Raises Stop 2 where none is asked for, 4 without a key, 5 when the release is no candidate."""
    if env.promotion is None or not env.promotion.approvals.required:
        file = f"{env.folder}/environment.yaml"
        raise Stop(
            f"{env.name} asks for no approvals",
            Code.USAGE,
            f"set promotion.approvals.required in {file} to ask for some",
        )
    key = approvals.own_key(c, paths.ROOT)
    a = delivery.open_(c, settings.load(env.promotion.from_), up=False)
    d = delivery.open_(c, env, up=False)
    here, state = desired.fetch(c, a.target), desired.fetch(c, d.target)
    wanted = promotion_rules.candidate(a, here, release)
    desired.adopt(c, state, wanted.revision)
    _show(d, state, wanted)
    if env.ask:
        terminal.confirm(f"Approve {wanted.revision[:12]} for {env.name}, signed with {key}?", yes)
    event = d.event(Action.APPROVE, wanted.revision, digest=wanted.digest, reason=reason)
    after = desired.transact(c, d.target, lambda _: Change(event, key=key))
    agreed = approvals.of(c, after, wanted, env.promotion.approvals)
    for other in dict.fromkeys(agreed.others):
        terminal.warn(f"does not count: {other}")
    required = env.promotion.approvals.required
    terminal.good(f"{wanted.revision[:12]} has {len(agreed.names)} of {required} approvals for {env.name}")
    for name in agreed.names:
        terminal.say(f"  {name}")


def _show(d: delivery.Delivery, state: State, wanted: Release) -> None:
    commit = git.commit(d.c, wanted.revision, repo=state.clone)
    rows = [
        ("release", f'{commit.short} "{commit.subject}" by {commit.author}'),
        ("image", wanted.digest[:19]),
        ("may go to", d.env.name),
        ("which runs", state.release.revision[:12] or "nothing"),
    ]
    terminal.table("Approve", ("", ""), rows)
