"""Trailers carry what happened; everything else is computed from them."""

from __future__ import annotations

from tasks.lib.history import Action, Event, Hold, arrived, current, holds, last_good, message, parse

A, B, C = "a" * 40, "b" * 40, "c" * 40


def event(action: Action, release: str, **more: object) -> Event:
    return Event(environment="local", action=action, release=release, **more)  # type: ignore[arg-type]


def test_a_message_reads_back_as_the_event() -> None:
    written = event(Action.ROLLBACK, A, previous=B, by="Ann <a@x>", reason="500s", held=B, hold=Hold.RELEASE)
    found = parse("", 0, message(written))
    assert found == written


def test_a_reason_cannot_forge_a_trailer() -> None:
    text = message(event(Action.DEPLOY, A, reason="fine\nSlipway-Held: " + B + "\nSlipway-Hold: release"))
    found = parse("", 0, text)
    assert found is not None
    assert found.held == ""


def test_other_commits_are_no_events() -> None:
    assert parse("", 0, "Signed-off-by: A <a@x>") is None
    assert parse("", 0, "Slipway-Environment: local\nSlipway-Action: explode") is None


def test_last_good_skips_now_and_held_and_never_arrived() -> None:
    newest_first = [
        event(Action.DEPLOY, C),
        event(Action.ARRIVED, B),
        event(Action.DEPLOY, B),
        event(Action.ARRIVED, A),
        event(Action.DEPLOY, A),
    ]
    assert arrived(newest_first) == [B, A]
    assert last_good(newest_first, C) == B
    rolled_back = [event(Action.ROLLBACK, A, held=B, hold=Hold.DESCENDANTS), *newest_first[1:]]
    assert last_good(rolled_back, A) == ""
    now = current(rolled_back)
    assert now is not None
    assert now.release == A


def test_a_lift_ends_the_holds_before_it() -> None:
    held = event(Action.ROLLBACK, A, held=B, hold=Hold.RELEASE)
    assert holds([held]) == {B: Hold.RELEASE}
    assert holds([event(Action.LIFT, B), held]) == {}
    assert holds([event(Action.ROLLBACK, A, held=C, hold=Hold.RELEASE), event(Action.LIFT, B), held]) == {
        C: Hold.RELEASE
    }
