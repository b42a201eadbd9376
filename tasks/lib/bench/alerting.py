"""Row about the alerts: how long a fault in the service takes to become a message in the channel."""

from __future__ import annotations

import queue
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tasks.lib import moments, paths
from tasks.lib.bench import service
from tasks.lib.bench.alert_world import Messages, calling, channel, program, scraped
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import Stage
from tasks.lib.errors import Code, Stop
from tasks.lib.lab.layout import LOOPBACK
from tasks.lib.observe import files, rules
from tasks.lib.observe.files import FOLDER

ALERT = "HighErrorRate"
PRODUCTION = ('severity="critical"', 'environment="production"')
FAULT = {"SLIPWAY_FAULT_ERRORS": "1"}
LIMIT = 1.2
START_SECONDS = 60
VALUES = paths.ROOT / "k8s" / "helm" / "values.yaml"


@dataclass(frozen=True)
class Times:
    """What is written otherwise than shipped, which is for tests. scrape: seconds; texts of the two files."""

    scrape: int = 0
    rules: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Waits:
    """What an alert has to wait for by its configuration, in seconds."""

    scrape: float
    interval: float
    hold: float
    group: float

    @property
    def total(self) -> float:
        return self.scrape + self.interval + self.hold + self.group

    def __str__(self) -> str:
        return (
            f"scrape {self.scrape:g} s + rules {self.interval:g} s + for {self.hold:g} s + group_wait {self.group:g} s"
        )


def alert(stage: Stage, times: Times = Times()) -> Row:
    """A fault in the service until the channel has the message: real Prometheus, real Alertmanager, shipped rules."""
    with (
        tempfile.TemporaryDirectory(prefix="slipway-alert-") as place,
        service.serve(SLIPWAY_WORKERS="1") as healthy,
        service.serve(SLIPWAY_WORKERS="1", **FAULT) as faulty,
        channel() as (hook, messages),
    ):
        folder = Path(shutil.copytree(FOLDER, Path(place) / "alerts"))
        scrape = times.scrape or int(files.load(VALUES)["serviceMonitor"]["intervalSeconds"])
        ours, theirs = (f"http://{LOOPBACK}:{service.free_port()}" for _ in range(2))
        _configure(folder, times, scrape, hook, theirs, [healthy.url, faulty.url])
        waits = waited_for(folder, scrape)
        with (
            program(stage.c, "alertmanager", theirs, folder / "alertmanager" / "alertmanager.yaml"),
            program(stage.c, "prometheus", ours, folder / "prometheus.yml"),
            calling(healthy.url) as callers,
        ):
            scraped(ours, 2 * scrape + START_SECONDS)
            if not messages.empty():
                raise Stop("there was a message before there was a fault", Code.COULD_NOT_RUN)
            began = time.monotonic()
            callers.url = faulty.url
            took = _message(messages, 2 * LIMIT * waits.total) - began
    return row(
        "alert",
        "from a fault in the service to the message in the channel",
        took,
        waits,
        f"{ALERT} in production: {waits}; Debian's Prometheus and Alertmanager beside the service, times as "
        f"{'shipped' if times == Times() else 'shortened'}",
    )


def row(name: str, what: str, took: float, waits: Waits, note: str) -> Row:
    """How long the message took, in seconds, against what the configuration makes it wait for."""
    return Row(
        name=name,
        what=what,
        unit="s",
        ours=took,
        raw=waits.total,
        raw_what="what the configuration makes an alert wait for at most",
        limit_ratio=LIMIT,
        notes=[note],
    )


def waited_for(folder: Path, scrape: float, *matchers: str) -> Waits:
    """What this folder's rule and route make the alert wait for. Raises Stop (4) when they are not there.

    matchers: of the route; default: production's.
    """
    wanted = set(matchers or PRODUCTION)
    top = files.load(folder / "alertmanager" / "alertmanager.yaml")["route"]
    for group in files.model(rules.RuleFile, folder / "rules" / "service.yaml").groups:
        for rule in group.rules:
            if rule.alert == ALERT:
                for route in top["routes"]:
                    if wanted == set(route["matchers"]):
                        found = (group.interval, rule.wait, route.get("group_wait", top["group_wait"]))
                        return Waits(scrape, *(moments.duration(text).total_seconds() for text in found))
    raise Stop(f"alerts/ has no {ALERT} with a route for {' and '.join(sorted(wanted))}", Code.COULD_NOT_RUN)


def _configure(folder: Path, times: Times, scrape: int, hook: str, receiver: str, urls: Sequence[str]) -> None:
    """The shipped files, told where the channel and the two pods are."""
    (folder / "url").write_text(hook)
    place = folder / "alertmanager" / "alertmanager.yaml"
    shipped = files.load(place)["global"]["slack_api_url_file"]
    _replace(place, {shipped: str(folder / "url"), **times.routes})
    _replace(folder / "rules" / "service.yaml", times.rules)
    pods = [
        {
            "targets": [urlsplit(url).netloc],
            "labels": {"namespace": "slipway-production", "pod": f"pod-{number}", "release": "4f2c9e1a0b3d"},
        }
        for number, url in enumerate(urls)
    ]
    config = {
        "global": {"scrape_interval": f"{scrape}s", "scrape_timeout": f"{min(scrape, 10)}s"},
        "rule_files": ["rules/service.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [urlsplit(receiver).netloc]}]}]},
        "scrape_configs": [{"job_name": "slipway-service", "static_configs": pods}],
    }
    (folder / "prometheus.yml").write_text(files.text(config))


def _replace(path: Path, texts: Mapping[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in texts.items():
        if old not in text:
            raise Stop(f"{path.name}: {old!r} is not there any more", Code.COULD_NOT_RUN)
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def _message(messages: Messages, seconds: float) -> float:
    """When the alert's message came. Raises Stop (4) when none did in this time, or another one first."""
    try:
        moment, body = messages.get(timeout=seconds)
    except queue.Empty:
        raise Stop(f"no message after {seconds:.0f} s", Code.COULD_NOT_RUN) from None
    title = str(body["attachments"][0]["title"])
    if not title.startswith(f"{ALERT} in production"):
        raise Stop(f"another message came first: {title[:80]}", Code.COULD_NOT_RUN)
    return moment
