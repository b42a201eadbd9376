"""What is changed is told in the channel of the alerts, and a channel that is down changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from invoke.context import Context

from tasks.lib import announcing, desired
from tasks.lib.desired import Change
from tasks.lib.history import Action, Event, Hold
from tests.alerts.world import Slack, slack
from tests.lib.conftest import World, git

BAD = "b" * 40
GOOD = "a" * 40


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    with slack() as there:
        monkeypatch.setenv(announcing.VARIABLE, there.url)
        yield there


def test_a_way_back_says_what_why_and_what_is_on_hold() -> None:
    event = Event(
        environment="staging", action=Action.ROLLBACK, release=GOOD, previous=BAD, by="Ann <ann@example.com>",
        reason="automatic: <smoke> & mirrors", held=BAD, hold=Hold.RELEASE,
    )  # fmt: skip
    (told,) = announcing.message(event)["attachments"]
    assert told["title"] == told["fallback"] == "staging: rollback aaaaaaaaaaaa"
    assert told["color"] == "danger"
    assert told["text"].splitlines() == [
        "was bbbbbbbbbbbb", "on hold: bbbbbbbbbbbb", "automatic: &lt;smoke&gt; &amp; mirrors", "by Ann",
    ]  # fmt: skip


def test_a_freeze_says_until_when_and_an_arrival_the_line_back() -> None:
    until = datetime(2026, 12, 24, 18, tzinfo=timezone.utc)
    frozen = announcing.message(Event(environment="production", action=Action.FREEZE, reason="feast", until=until))
    assert frozen["attachments"][0]["title"] == "production: freeze"
    assert frozen["attachments"][0]["text"] == "until 2026-12-24 18:00:00 UTC\nfeast"
    arrived = announcing.message(Event(environment="staging", action=Action.ARRIVED, release=GOOD))
    assert arrived["attachments"][0]["text"] == "back: `./inv rollback --env staging`"


def test_what_landed_is_told_once_and_what_was_not_done_never(c: Context, world: World, channel: Slack) -> None:
    sha = git(world.checkout, "rev-parse", "HEAD")
    event = Event(environment="local", action=Action.ARRIVED, release=sha)
    desired.transact(c, world.target(), lambda _: Change(event), publish=sha)
    desired.transact(c, world.target(), lambda _: None)
    assert channel.titles() == [f"local: arrived {sha[:12]}"]


@pytest.mark.slow
def test_a_channel_that_fails_once_is_asked_again(channel: Slack) -> None:
    channel.refused = 1
    announcing.tell(Event(environment="local", action=Action.FREEZE))
    assert channel.titles() == ["local: freeze"]


@pytest.mark.slow
def test_a_channel_that_is_down_is_said_without_its_address_and_nothing_else_suffers(
    c: Context, world: World, channel: Slack, capsys: pytest.CaptureFixture[str]
) -> None:
    channel.refused = 99
    sha = git(world.checkout, "rev-parse", "HEAD")
    event = Event(environment="local", action=Action.ARRIVED, release=sha)
    state = desired.transact(c, world.target(), lambda _: Change(event), publish=sha)
    assert [one.action for one in state.events] == [Action.ARRIVED]
    said = "".join(capsys.readouterr())
    assert "was not told of 'local: arrived' (HTTP 500)" in said
    assert channel.url not in said


def test_without_a_webhook_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(announcing.VARIABLE, raising=False)
    monkeypatch.setattr(announcing, "_post", lambda *_: pytest.fail("somebody was told"))
    announcing.tell(Event(environment="local", action=Action.FREEZE))


@pytest.mark.slow
def test_a_redirect_is_no_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import requests

    moved = requests.Response()
    moved.status_code = 302
    monkeypatch.setenv(announcing.VARIABLE, "http://127.0.0.1:9/moved")
    monkeypatch.setattr(requests, "post", lambda *_, **__: moved)
    announcing.tell(Event(environment="local", action=Action.FREEZE))
    assert "(HTTP 302)" in "".join(capsys.readouterr())
