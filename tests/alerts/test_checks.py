"""observe.alerts with the real promtool and amtool: what is shipped holds, and every kind of mistake has its row."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.context import Context

import tasks.observe
from tasks.lib.errors import Code, Stop
from tasks.lib.lab import observing
from tasks.lib.observe import checks, existing, programs, rules
from tasks.lib.quality import Result
from tests.lib.own_tools import OwnTools, own
from tests.observe.conftest import environment

__all__ = ["own"]


def states(c: Context, folder: Path, runbooks: Path) -> dict[str, str]:
    """The checks that are not ok."""
    return {one.name: one.state for one in checks.alerts(c, folder, runbooks) if one.state != "ok"}


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Runs only these files of unit tests; the others pass."""
    real = programs.test
    monkeypatch.setattr(programs, "test", lambda c, path: real(c, path) if path.stem in names else "not run")


@pytest.mark.slow
def test_what_is_shipped_holds(c: Context, folder: Path, runbooks: Path) -> None:
    found = checks.alerts(c, folder, runbooks)
    assert [(one.name, one.state) for one in found] == [(one.name, "ok") for one in found]
    assert len(found) == 5 + 7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "good", "bad", "wrong"),
    [
        ("rules/service.yaml", ") > 0.1", ") > 0.2", {"test service (promtool)"}),
        ("rules/service.yaml", "for: 2m", "for: 1m", {"test service (promtool)"}),
        (
            "rules/service.yaml",
            "sum by (namespace) (",
            "sum by namespace) (",
            {"rules (promtool)", "labels, links, series"},
        ),
        ("alertmanager/alertmanager.yaml", "receiver: page", "receiver: urgent", {"routes (amtool)"}),
        (
            "alertmanager/alertmanager.yaml",
            "repeat_interval: 1h",
            "repeat: 1h",
            {"Alertmanager (amtool)", "routes (amtool)"},
        ),
        ("alertmanager/slack.tmpl", "{{ end }}", "", {"Alertmanager (amtool)"}),
        ("alertmanager/routes.yaml", "receiver: page", "reciever: page", {"routes (amtool)"}),
        ("slo.yaml", "99.9", "99.5", {"generated files"}),
    ],
)
def test_a_mistake_is_found(
    c: Context,
    folder: Path,
    runbooks: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    good: str,
    bad: str,
    wrong: set[str],
) -> None:
    only(monkeypatch, *(["service"] if "test service (promtool)" in wrong else []))
    path = folder / file
    assert good in path.read_text()
    path.write_text(path.read_text().replace(good, bad))
    if file.startswith("rules/"):
        rules.write(folder)
    assert states(c, folder, runbooks) == dict.fromkeys(wrong, "findings")


def test_a_missing_program_could_not_run(
    c: Context, folder: Path, runbooks: Path, own: OwnTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch)
    own.pins(
        "".join(
            f"- name: {name}\n  how: path\n  group: alerts\n  install: apt-get install {name}\n"
            "  on_path: {minimum: '99'}\n  needed_for: a test\n"
            for name in ("promtool", "amtool")
        )
    )
    names = ("rules (promtool)", "Alertmanager (amtool)", "routes (amtool)")
    assert states(c, folder, runbooks) == dict.fromkeys(names, "could not run")


@pytest.mark.slow
def test_a_prometheus_that_is_silent_could_not_be_asked(
    c: Context, folder: Path, runbooks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch)
    found = checks.alerts(c, folder, runbooks, ("http://127.0.0.1:1", environment()))
    assert {one.name: one.state for one in found if one.state != "ok"} == {"series in Prometheus": "could not run"}


@pytest.mark.parametrize(
    ("named", "lab", "deployed", "asked"),
    [
        ("", None, True, None),
        ("", "http://127.0.0.1:2", True, "http://127.0.0.1:2"),
        ("", "http://127.0.0.1:2", False, None),
        ("http://127.0.0.1:1/", "http://127.0.0.1:2", False, "http://127.0.0.1:1"),
    ],
)
def test_the_prometheus_that_is_named_is_asked_or_else_the_lab_s(
    c: Context, monkeypatch: pytest.MonkeyPatch, named: str, lab: str | None, deployed: bool, asked: str | None
) -> None:
    seen = []
    monkeypatch.setattr(observing, "prometheus", lambda: lab)
    monkeypatch.setattr(existing, "scraped", lambda *_: deployed)
    monkeypatch.setattr(checks, "alerts", lambda _, against: seen.append(against and against[0]) or [])
    tasks.observe.alerts(c, against=named)
    assert seen == [asked]


@pytest.mark.parametrize("address", ["prometheus:9090", "http://ann@prometheus", "nonsense"])
def test_what_is_no_address_is_not_asked_and_not_repeated(
    c: Context, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(checks, "alerts", lambda *_, **__: pytest.fail("something was run"))
    with pytest.raises(Stop, match="no address of a Prometheus") as stopped:
        tasks.observe.alerts(c, against=address)
    assert stopped.value.code == Code.USAGE
    assert address not in stopped.value.sentence


@pytest.mark.parametrize(("exits", "code"), [("exit 1", 3), ("exit 3", 3), ("exit 2", 4), ("kill -9 $$", 4)])
def test_a_broken_program_is_no_finding(c: Context, exits: str, code: int) -> None:
    with pytest.raises(Stop) as stopped:
        programs._ask(c, ["sh", "-c", exits], "try")
    assert stopped.value.code == code


@pytest.mark.parametrize(
    ("states", "code"), [(["ok", "findings"], 3), (["findings", "could not run"], 4), (["ok", "ok"], 0)]
)
def test_exit_code(c: Context, monkeypatch: pytest.MonkeyPatch, states: list[str], code: int) -> None:
    made = [Result(str(number), state, 0, "why") for number, state in enumerate(states)]  # type: ignore[arg-type]
    monkeypatch.setattr(checks, "alerts", lambda *_, **__: made)
    monkeypatch.setattr(observing, "prometheus", lambda: None)
    if code == 0:
        tasks.observe.alerts(c)
    else:
        with pytest.raises(Stop) as stopped:
            tasks.observe.alerts(c)
        assert stopped.value.code == code
