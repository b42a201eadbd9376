"""Tells the channel of the alerts what was changed: each deploy, arrival, rollback, promotion, freeze and approval."""

from __future__ import annotations

import os
from html import escape
from typing import Any

from tasks.lib import moments, terminal
from tasks.lib.history import MOVES, Action, Event

VARIABLE = "SLIPWAY_SLACK_WEBHOOK_URL"
"""Holds the address of an incoming webhook. It is a secret: who knows it can write into the channel."""
SECONDS = 3.0
TRIES = 2
COLORS = {Action.ARRIVED: "good", Action.UNFREEZE: "good", Action.ROLLBACK: "danger", Action.FREEZE: "warning"}


def tell(event: Event) -> None:
    """Posts one message about an event that is in Git already; nothing where no webhook is named.

    Never raises and takes at most some seconds: a channel that is down must not stop a rollback.
    """
    if not (url := os.environ.get(VARIABLE, "").strip()):
        return
    import requests
    from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

    tries = Retrying(
        stop=stop_after_attempt(TRIES), wait=wait_fixed(0.5), retry=retry_if_exception_type(requests.RequestException)
    )
    try:
        tries(_post, url, message(event))
    except RetryError as error:
        # The sentences of requests quote the address.
        cause = error.last_attempt.exception()
        answer = getattr(cause, "response", None)
        why = f"HTTP {answer.status_code}" if answer is not None else type(cause).__name__
        terminal.warn(
            f"Slack was not told of '{event.environment}: {event.action.value}' ({why}); nothing else suffers"
        )


def _post(url: str, body: dict[str, Any]) -> None:
    import requests

    answer = requests.post(url, json=body, timeout=SECONDS, allow_redirects=False)
    if answer.status_code >= 300:  # a redirect took no message either
        raise requests.HTTPError(response=answer)


def message(event: Event) -> dict[str, Any]:
    """The event as Slack's incoming webhooks take it, in the shape of the alerts' messages."""
    what = event.release[:12] or ("nothing" if event.action in MOVES else "")
    title = " ".join(f"{event.environment}: {event.action.value} {what}".split())
    by = event.by.partition(" <")[0]
    lines = [
        f"was {event.previous[:12]}" if event.previous and event.action in MOVES else "",
        f"from {event.source}" if event.source else "",
        f"until {moments.shown(event.until)}" if event.until else "",
        f"on hold: {event.held[:12]}" if event.held else "",
        event.reason,
        f"by {by}" if by else "",
        f"back: `./inv rollback --env {event.environment}`" if event.action is Action.ARRIVED else "",
    ]
    text = "\n".join(escape(line, quote=False) for line in lines if line)
    color = COLORS.get(event.action, "#439FE0")
    return {"attachments": [{"color": color, "title": title, "fallback": title, "text": text, "mrkdwn_in": ["text"]}]}
