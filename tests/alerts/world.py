"""A real Prometheus and Alertmanager with the configuration of alerts/, on loopback, and a Slack-shaped receiver.

Only times are shortened, by replacing them in copies of the real files: nobody waits two minutes in a test.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import requests
from invoke.context import Context
from ruamel.yaml import YAML

from tasks.lib.bench import alert_world, service
from tasks.lib.observe.files import FOLDER

PROMETHEUS_TIMES = {"interval: 15s": "interval: 500ms", "for: 2m": "for: 1s", "[5m]": "[5s]"}
"""In the rule file: how often it is asked, how long it has to hold, how far it looks back."""
ALERTMANAGER_TIMES = {"group_wait": "500ms", "group_interval": "1s"}

Value = TypeVar("Value")


def eventually(look: Callable[[], Value], what: str, seconds: float = 60) -> Value:
    """What `look` gives as soon as it is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := look():
            return value
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:g} s")


@dataclass
class Slack:
    """Takes what an incoming webhook takes. refused: how many more messages it answers with 500. secret: its path."""

    port: int
    refused: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0
    secret: str = "/services/T0/B0/of-this-test"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.secret}"

    def titles(self) -> list[str]:
        return [str(message["attachments"][0]["title"]) for message in self.messages]


@contextlib.contextmanager
def slack(refused: int = 0) -> Iterator[Slack]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            there.attempts += 1
            good = there.attempts > there.refused and self.path == there.secret
            if good:
                there.messages.append(body)
            self.send_response(200 if good else 500)
            self.end_headers()
            self.wfile.write(b"ok" if good else b"internal_error")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        there = Slack(server.server_address[1], refused)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield there
        server.shutdown()


@contextlib.contextmanager
def alertmanager(c: Context, folder: Path, slack: Slack, **route: str) -> Iterator[str]:
    """The real configuration with shorter times. route: keys of the production route that a test wants otherwise."""
    place = folder / "alertmanager"
    shutil.copytree(FOLDER / "alertmanager", place)
    yaml = YAML(typ="safe")
    data = yaml.load(place / "alertmanager.yaml")
    (place / "url").write_text(slack.url)
    data["global"]["slack_api_url_file"] = str(place / "url")
    for one in (data["route"], *data["route"]["routes"]):
        one.update(ALERTMANAGER_TIMES)
    data["route"]["routes"][0].update(route)
    yaml.dump(data, place / "alertmanager.yaml")
    url = f"http://127.0.0.1:{service.free_port()}"
    with alert_world.program(c, "alertmanager", url, place / "alertmanager.yaml"):
        yield url


@contextlib.contextmanager
def prometheus(c: Context, folder: Path, alertmanager: str, pods: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    """The real service rules with shorter times. pods: name to port and release."""
    place = folder / "prometheus"
    place.mkdir()
    rules = (FOLDER / "rules" / "service.yaml").read_text()
    for real, short in PROMETHEUS_TIMES.items():
        assert real in rules
        rules = rules.replace(real, short)
    (place / "service.yaml").write_text(rules)
    labels = {name: {"namespace": "slipway-production", "pod": name, "release": pods[name][1]} for name in pods}
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "rule_files": ["service.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager[7:]]}]}]},
        "scrape_configs": [
            {
                "job_name": "slipway-service",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{pods[name][0]}"], "labels": labels[name]} for name in pods
                ],
            }
        ],
    }
    YAML(typ="safe").dump(config, place / "prometheus.yml")
    url = f"http://127.0.0.1:{service.free_port()}"
    with alert_world.program(c, "prometheus", url, place / "prometheus.yml"):
        yield url


def value(url: str, metric: str) -> float:
    """The sum of a server's own metric over its labels."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    return sum(float(found) for found in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.MULTILINE))
