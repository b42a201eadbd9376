"""What Alertmanager makes of alerts that come together, that stay, and that follow from each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from invoke.context import Context

from tests.alerts import world
from tests.alerts.world import Slack, eventually


@dataclass
class Running:
    url: str
    slack: Slack

    def tell(self, *alerts: dict[str, str]) -> None:
        """Alerts by their labels, as Prometheus would post them."""
        common = {"severity": "critical", "service": "slipway-service", "environment": "production", "team": "slipway"}
        told = [{"labels": common | labels, "annotations": {"summary": labels["alertname"]}} for labels in alerts]
        requests.post(f"{self.url}/api/v2/alerts", json=told, timeout=10).raise_for_status()


@pytest.fixture
def running(c: Context, tmp_path: Path) -> Iterator[Running]:
    with world.slack() as slack, world.alertmanager(c, tmp_path, slack, repeat_interval="2s") as url:
        yield Running(url, slack)


@pytest.mark.slow
def test_groups_inhibits_and_repeats(running: Running) -> None:
    running.tell({"alertname": "ServiceDown"})
    eventually(running.slack.titles, "a message")
    running.tell(
        {"alertname": "HighLatencyP95", "severity": "warning"},
        {"alertname": "ErrorBudgetBurnFast", "slo": "error"},
        {"alertname": "HighLatencyP95", "severity": "warning", "environment": "staging"},
        {"alertname": "LatencyBudgetBurnFast", "slo": "latency", "environment": "staging"},
        {"alertname": "LatencyBudgetBurnSteady", "slo": "latency", "environment": "staging", "severity": "warning"},
        {"alertname": "ErrorBudgetBurnSlow", "slo": "error", "environment": "staging"},
        {"alertname": "ErrorBudgetBurnSteady", "slo": "error", "environment": "staging", "severity": "warning"},
        {"alertname": "DeployFailed", "environment": "staging"},
        {"alertname": "ArgoAppOutOfSync", "environment": "staging", "severity": "warning"},
        {"alertname": "PodCrashLooping", "environment": "staging", "pod": "a"},
        {"alertname": "PodCrashLooping", "environment": "staging", "pod": "b"},
    )
    down = "ServiceDown in production (critical)"
    eventually(lambda: running.slack.titles().count(down) >= 2, "the alert that stays, again")
    told = {title for title in running.slack.titles() if title != down}
    assert told == {
        "HighLatencyP95 in staging (warning)",  # nothing is down there
        "LatencyBudgetBurnFast in staging (critical)",  # and not the same more slowly
        "ErrorBudgetBurnSlow in staging (critical)",  # another objective; and not that more slowly
        "DeployFailed in staging (critical)",  # and not what follows from it
        "PodCrashLooping in staging (critical)",
    }
    (together,) = [one for one in running.slack.messages if "PodCrashLooping" in one["attachments"][0]["title"]]
    assert together["attachments"][0]["text"].count("*PodCrashLooping*") == 2
    time.sleep(1.2)  # another group_interval: what does not repeat yet stays told once
    assert running.slack.titles().count("DeployFailed in staging (critical)") == 1
