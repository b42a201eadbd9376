"""Two environments in one real remote, staging and production, and a clock that the test turns."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from tasks.lib import desired, promotion, promotion_rules
from tasks.lib.delivery import Delivery
from tasks.lib.desired import Change, State
from tasks.lib.errors import Stop
from tasks.lib.history import Action, Event
from tasks.lib.promotion_settings import Promotion
from tasks.lib.settings import Environment, LabCluster
from tasks.lib.soak import Trouble
from tasks.lib.values import NOTHING, Release
from tests.lib.conftest import VALUES, World, git

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
BOB = "Bob <bob@example.com>"


def release(sha: str, image: str = "") -> Release:
    return Release(revision=sha, repository="127.0.0.1:5000/s", tag=sha, digest="sha256:" + (image or sha[:8]) * 8)


@dataclass
class Stages:
    """times are minutes after noon."""

    c: Context
    world: World
    patch: pytest.MonkeyPatch
    a: Delivery
    b: Delivery

    def at(self, minutes: float) -> datetime:
        """Sets the clock of Git; the moment."""
        now = NOON + timedelta(minutes=minutes)
        for name in ("GIT_COMMITTER_DATE", "GIT_AUTHOR_DATE"):
            self.patch.setenv(name, now.isoformat())
        return now

    def asks(self, **promotion: Any) -> Promotion:
        """Gives production these promotion settings."""
        asked = Promotion.model_validate({"from": "staging", "soak": "30m", "live": False, **promotion})
        env = self.b.env.model_copy(update={"promotion": asked})
        self.b = Delivery(self.c, replace(self.b.target, env=env), BOB)
        return asked

    def note(self, where: Delivery, minutes: float, action: Action, sha: str, image: str = "", **more: Any) -> State:
        """An event as deploy, promote and rollback write them."""
        self.at(minutes)
        moves = action in (Action.DEPLOY, Action.PROMOTE, Action.ROLLBACK)
        pinned = (release(sha, image) if sha else NOTHING) if moves else None
        event = where.event(action, sha, **more)
        return desired.transact(self.c, where.target, lambda _: Change(event, pinned), publish=sha)

    def arrive(self, where: Delivery, minutes: float, sha: str, image: str = "") -> None:
        """A deploy and its arrival, a minute later."""
        self.note(where, minutes, Action.DEPLOY, sha, image)
        self.note(where, minutes + 1, Action.ARRIVED, sha)

    def refusals(
        self, minutes: float, sha: str, trouble: Trouble | None = None, lift: bool = False, image: str = ""
    ) -> list[Stop]:
        """What refuses the promotion at this moment."""
        state = desired.fetch(self.c, self.b.target)
        assert self.b.env.promotion
        wanted, now = release(sha, image), self.at(minutes)
        return promotion_rules.by_git(self.a, self.b, state, wanted, self.b.env.promotion, now, trouble, lift)

    def refusal(self, minutes: float, sha: str, **more: Any) -> Stop:
        (found,) = self.refusals(minutes, sha, **more)
        return found

    def events(self, where: Delivery) -> list[Event]:
        return list(desired.fetch(self.c, where.target).events)


@pytest.fixture
def stages(c: Context, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    for name in ("staging", "production"):
        world.commit(f"gitops/environments/{name}/values.yaml", VALUES)

    def delivery(name: str) -> Delivery:
        env = Environment(name=name, cluster=LabCluster(kind="lab"))
        return Delivery(c, replace(world.target(), env=env), "Ann <ann@example.com>")

    made = Stages(c, world, monkeypatch, delivery("staging"), delivery("production"))
    made.asks()
    yield made


def ssh_key(folder: Path, name: str) -> tuple[Path, str]:
    """A key pair of SSH: where the private half is, and the public half."""
    private = folder / name
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(private)]
    subprocess.run(words, check=True, capture_output=True, timeout=30)
    return private, private.with_suffix(".pub").read_text().strip()


def head(stages: Stages) -> str:
    return git(stages.world.checkout, "rev-parse", "HEAD")


def promote(stages: Stages, sha: str, lift: bool = False) -> desired.State:
    """The commit of a promotion, its rules asked inside the transaction."""
    assert stages.b.env.promotion
    return promotion._commit(stages.a, stages.b, release(sha), stages.b.env.promotion, "why", lift)


def promote_at(stages: Stages, minutes: float, sha: str, lift: bool = False) -> desired.State:
    stages.at(minutes)
    return promote(stages, sha, lift)


__all__ = ["BOB", "NOON", "Stages", "git", "head", "promote", "promote_at", "release", "ssh_key", "stages"]
