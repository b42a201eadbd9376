"""A fault in the real service reaches Slack as one message with all that a person needs, and its end as another."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from invoke.context import Context

from tests.alerts import world
from tests.alerts.world import Slack, eventually
from tests.service.conftest import start
from tests.service.harness import Server

__all__ = ["start"]

BAD, GOOD = "4f2c9e1a0b3d", "77aa00bb11cc"
RUNBOOK = "https://gitlab.example.com/team/slipway/-/blob/main/docs/runbooks/HighErrorRate.md"
DASHBOARD = "https://grafana.example.com/d/slipway-service?var-environment=production"
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def expected(title: str, text: str, color: str, pretext: str) -> dict[str, Any]:
    """The whole body that Slack gets; `text` is a pattern, because of the rate and the moments."""
    return {
        "channel": "#devops-alerts",
        "username": "Alertmanager",
        "attachments": [
            {
                "title": title,
                "title_link": RUNBOOK,
                **({"pretext": pretext} if pretext else {}),
                "text": Like(text),
                "fallback": title,
                "callback_id": "",
                "footer": "",
                "color": color,
                "mrkdwn_in": ["fallback", "pretext", "text"],
                "actions": [
                    {"type": "button", "text": "Runbook", "url": RUNBOOK},
                    {"type": "button", "text": "Dashboard", "url": DASHBOARD},
                ],
            }
        ],
    }


class Like:
    """Equal to every text that matches the whole pattern."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(self.pattern, other) is not None

    def __repr__(self) -> str:
        return f"Like({self.pattern!r})"


class Callers:
    """People who use the service without a pause until the block ends."""

    def __init__(self, server: Server) -> None:
        self.slowest = 0.0  # seconds
        self._server = server
        self._asking = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Callers:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._ended.wait(0.05):
            with self._asking:
                began = time.monotonic()
                self._server.get("/api/time?zone=UTC")
                self.slowest = max(self.slowest, time.monotonic() - began)

    def go_to(self, server: Server) -> None:
        with self._asking:
            self._server = server


@pytest.fixture
def slack() -> Iterator[Slack]:
    """Slack is down for the first two messages."""
    with world.slack(refused=2) as there:
        yield there


@pytest.mark.slow
def test_a_fault_is_told_and_so_is_its_end(
    start: Callable[..., Server], slack: Slack, c: Context, tmp_path: Path
) -> None:
    faulty, healthy = start(SLIPWAY_FAULT_ERRORS="1"), start()
    pods = {"a": (faulty.port, BAD), "b": (healthy.port, GOOD)}
    with (
        Callers(faulty) as callers,
        world.alertmanager(c, tmp_path, slack) as alertmanager,
        world.prometheus(c, tmp_path, alertmanager, pods) as prometheus,
    ):
        fired = eventually(lambda: slack.messages, "a message")[0]
        what = r"\*production answers with errors\*\n\d+\.\d\d requests per second fail, over all pods and paths "
        what += r"\(limit 0\.1 for 2 min\)\.\n"
        title = "HighErrorRate in production (critical)"
        assert fired == expected(title, rf"{what}Since {MOMENT} UTC, release {BAD}, {GOOD}", "danger", "<!here>")
        since = datetime.strptime(re.findall(MOMENT, fired["attachments"][0]["text"])[0], "%Y-%m-%d %H:%M:%S")
        assert timedelta() <= datetime.now(timezone.utc) - since.replace(tzinfo=timezone.utc) < timedelta(minutes=2)

        # Slack was down at first: told again until it took it, once. Nobody else noticed.
        assert (slack.attempts, len(slack.messages)) == (3, 1)
        assert world.value(alertmanager, "alertmanager_notification_requests_failed_total") == 2
        assert world.value(prometheus, "prometheus_notifications_dropped_total") == 0
        assert world.value(prometheus, "prometheus_rule_evaluation_failures_total") == 0
        assert healthy.get("/ready").status == 200
        assert callers.slowest < 5

        callers.go_to(healthy)
        faulty.close()
        over = eventually(lambda: slack.messages[1:], "the message that it is over")[0]
        assert over == expected(f"Over: {title}", rf"{what}From {MOMENT} to {MOMENT} UTC, release {GOOD}", "good", "")
        firing = requests.get(f"{prometheus}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
        assert [one for one in firing if one["labels"]["alertname"] == "HighErrorRate"] == []
    assert slack.titles() == [title, f"Over: {title}"]
