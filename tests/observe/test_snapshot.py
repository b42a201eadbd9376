"""Every panel has data where there is traffic, and what is drawn of it is a picture that holds it."""

from __future__ import annotations

import json
import re
import struct
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from invoke.context import Context
from pydantic import ValidationError

from tasks.lib import tools
from tasks.lib.errors import Code, Stop
from tasks.lib.lab import observing
from tasks.lib.observe import drawing, panels, ranges, snapshot
from tasks.lib.runner import run
from tasks.lib.settings import ContextCluster, Observe
from tests.observe.conftest import NEW, Watched, environment

EVERY = [(board.uid, panel) for board in panels.read() for panel in board.panels]


def ask(watched: Watched, expr: str, seconds: float = 60) -> list[ranges.Series]:
    end = datetime.now(timezone.utc)
    server = ranges.Prometheus(watched.address, end - timedelta(seconds=seconds), end)
    return ranges.ask(server, panels.filled(expr, environment()), "")


@pytest.mark.slow
def test_every_query_of_every_panel_returns_data(watched: Watched) -> None:
    """The service's from the service, those of cluster and delivery from a file that Prometheus scrapes."""
    asked = {
        f"{uid}: {panel.title}: {one.expr}": ask(watched, one.expr) for uid, panel in EVERY for one in panel.targets
    }
    assert len(asked) == 12
    assert [name for name, answer in asked.items() if not answer] == []
    annotations = [ask(watched, board.annotation) for board in panels.read()]
    assert all(annotations)


@pytest.mark.slow
def test_the_service_panels_say_what_happened(watched: Watched) -> None:
    (rate,), (errors,), (latency,), (restarts,) = (
        ask(watched, panel.targets[0].expr) for uid, panel in EVERY if uid == "slipway-service"
    )

    def last(series: ranges.Series) -> float:
        return next(value for _, value in reversed(series.points) if value is not None)

    assert 0 < last(rate) < 100
    assert 0 <= last(errors) < 30
    assert 0 < last(latency) < 0.5
    assert last(restarts) == 0


@pytest.mark.slow
def test_first_forms_are_not_what_they_are_called(watched: Watched) -> None:
    """Why the panels do not ask what was first written: many curves, a ratio that is always 100, another namespace."""
    rates = ask(watched, "rate(app_requests_total[5m])")
    assert len(rates) > 10
    ratio = 'rate(app_requests_total{status=~"5.."}[5m]) / rate(app_requests_total[5m]) * 100'
    values = {value for series in ask(watched, ratio) for _, value in series.points if value is not None}
    assert values <= {100.0}
    assert len(ask(watched, "histogram_quantile(0.95, rate(app_request_latency_seconds_bucket[5m]))")) > 1
    assert ask(watched, 'kube_pod_container_status_restarts_total{namespace="default"}') == []


@pytest.mark.slow
def test_panels_are_drawn_and_put_on_a_page(watched: Watched, c: Context, tmp_path: Path) -> None:
    made = snapshot.take(c, environment(), timedelta(minutes=1), watched.address, tmp_path / "out")
    assert made.empty == []
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert [path.name.partition("-")[2] for path in pictures] == [
        "request-rate.png",
        "error-rate.png",
        "p95-latency.png",
        "pod-restarts.png",
        "deploys-per-week.png",
        "lead-time.png",
        "change-failure-rate.png",
        "time-to-restore.png",
        "deploys-so-far.png",
    ]
    for path in pictures:
        wide, high = struct.unpack(">II", path.read_bytes()[16:24])
        assert path.read_bytes().startswith(b"\x89PNG") and wide > 300 and high > 150
        assert path.stat().st_size > 3000
    page = made.page.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(pictures)
    assert NEW[:12] in page
    assert not re.search(r"""(src|href)=["']?(?!["\']?data:)""", page)  # it can be sent


def test_the_lab_s_prometheus_is_asked_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "prometheus", lambda: "http://127.0.0.1:30009")
    assert snapshot.known_address(environment()) == "http://127.0.0.1:30009"
    assert snapshot.known_address(environment(), "http://127.0.0.1:9090/") == "http://127.0.0.1:9090"
    elsewhere = environment().model_copy(
        update={"cluster": ContextCluster(kind="context", kubeconfig="k", context="c")}
    )
    assert snapshot.known_address(elsewhere) == ""


def test_without_an_address_nothing_is_asked(c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "prometheus", lambda: None)
    with pytest.raises(Stop) as stopped:
        snapshot.take(c, environment(), timedelta(hours=1), folder=tmp_path / "out")
    assert stopped.value.code == Code.USAGE
    assert "environment.yaml names no Prometheus" in stopped.value.sentence
    assert "--prometheus" in stopped.value.fix
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "url", ["prometheus:9090", "ftp://prometheus", "https://ann@prometheus", "http://p?a=b", "http:// p"]
)
def test_an_address_with_a_login_or_none_at_all_is_refused(url: str) -> None:
    assert Observe(prometheus="https://prometheus.example.com/team").prometheus
    with pytest.raises(ValidationError):
        Observe(prometheus=url)


@pytest.mark.parametrize("text", ["", "yesterday", "-1h", "5", "91d", "30s"])
def test_a_span_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Stop, match="--since") as stopped:
        snapshot.duration(text)
    assert stopped.value.code == Code.USAGE


def test_a_dead_prometheus_is_one_sentence(c: Context, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Stop) as stopped:
        snapshot.take(c, environment(), timedelta(hours=1), "http://127.0.0.1:1", tmp_path / "out")
    assert (stopped.value.code, time.monotonic() - began < 5) == (Code.COULD_NOT_RUN, True)
    assert stopped.value.sentence == "ask Prometheus at http://127.0.0.1:1: ConnectionError"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0, "s", "0 s"),
        (0.0000042, "s", "4.2 µs"),
        (0.0488, "s", "48.8 ms"),
        (1.5, "s", "1.5 s"),
        (61, "s", "1 min 1 s"),
        (7228, "s", "2 h"),
        (93600, "s", "1 d 2 h"),
        (2.5641, "percent", "2.56 %"),
        (1234.4, "reqps", "1234 req/s"),
        (23456, "short", "23.5 k"),
        (3.2667, "suffix: a week", "3.27 a week"),
    ],
)
def test_values_are_said_as_people_say_them(value: float, unit: str, said: str) -> None:
    assert drawing.spoken(value, unit) == said


MEASURE = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("drawing", sys.argv[1])
drawing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(drawing)

def measured(figure, panel):
    figure.canvas.draw()
    corners = [text.get_window_extent().corners() for text in figure.texts]
    print(json.dumps([bool(figure.bbox.contains(*corner)) for four in corners for corner in four]))

drawing._save = measured
drawing.main()
"""


@pytest.mark.slow
def test_why_there_is_no_number_is_told_inside_its_picture(c: Context) -> None:
    numbers = [panel for board in panels.read() for panel in board.panels if panel.kind == "stat"]
    reasons = {panel.none: panel.title for panel in numbers}
    none = {"file": "", "kind": "stat", "unit": "short", "series": []}
    jobs = [{**none, "title": title, "none": reason} for reason, title in reasons.items()]
    assert max(map(len, reasons)) > 30, "long enough to be cut off"
    argv = [tools.path(c, "drawing-python"), "-B", "-c", MEASURE, drawing.__file__]
    result = run(c, argv, step="measure", timeout=60, stdin=json.dumps({"panels": jobs}), quiet=True)
    lines = result.stdout.splitlines()
    assert len(lines) == len(jobs)
    assert all(all(json.loads(line)) for line in lines), lines
