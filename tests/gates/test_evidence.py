"""An unchanged commit is answered from what was seen before; whatever could change the answer makes a new scan."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import gates, git, tools
from tasks.lib.errors import Stop
from tasks.lib.gates import databases, evidence, store
from tasks.lib.gates.models import Canary, Database, Outcome, Report
from tasks.lib.settings import Environment

Change = Callable[[pytest.MonkeyPatch, Path], None]


class World:
    """The commit HEAD, a gate that counts its runs, and a program that it uses."""

    def __init__(self, c: Context, env: Environment, monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
        self.c, self.env, self.sha = c, env, git.head(c)
        self.runs = 0
        self.outcome = Outcome.PASS
        self.canary = Canary(planted=["one"], caught=["one"])
        program.write_text("#!/bin/sh\n")
        monkeypatch.setattr(tools, "path", lambda _c, _name: program)
        for name in gates.SOURCE_GATES:
            monkeypatch.setitem(gates.CHECKS, name, lambda c, env, sha, name=name: self.check(name, sha))

    def check(self, gate: str, sha: str) -> Report:
        self.runs += 1
        now = datetime.now(timezone.utc)
        reason = "killed" if self.outcome is Outcome.COULD_NOT_RUN else ""
        report = Report(gate=gate, commit=sha, outcome=self.outcome, reason=reason, canary=self.canary, ended=now)
        if gate == "deps":
            report.database = Database(source="here", date=now, digest="sha256:1")
        store.write(report)
        return report

    def scan(self, gate: str = "config", **options: bool) -> int:
        """Runs the gate; how often it has really scanned so far."""
        gates.source(self.c, self.env, self.sha, gate, **options)
        return self.runs


@pytest.fixture
def world(c: Context, env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.setattr(databases, "identity", lambda _env, gate: "advisories sha256:1" if gate == "deps" else "none")
    return World(c, env, monkeypatch, tmp_path / "program")


@pytest.mark.parametrize("gate", gates.SOURCE_GATES)
def test_unchanged_commit_is_answered_from_evidence_which_says_so(
    world: World, gate: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert world.scan(gate) == 1
    first = (store.folder(world.sha) / f"{gate}.json").read_text()
    store.discard(world.sha, gate)
    assert world.scan(gate) == 1
    assert (store.folder(world.sha) / f"{gate}.json").read_text() == first
    said = " ".join("".join(capfd.readouterr()).split())
    same = "same commit, tools and databases" if gate == "deps" else "same commit and tools"
    assert f"{gate}: answered from the evidence of " in said and f"{same}; --again scans" in said


def test_findings_are_evidence_too_and_again_scans(world: World) -> None:
    world.outcome = Outcome.FINDINGS
    assert (world.scan(), world.scan(), world.scan(again=True), world.scan()) == (1, 1, 2, 2)


def test_what_could_not_run_is_no_evidence(world: World) -> None:
    world.outcome = Outcome.COULD_NOT_RUN
    assert (world.scan(), world.scan()) == (1, 2)
    world.outcome, world.canary = Outcome.PASS, Canary(planted=["one"])
    assert (world.scan(), world.scan()) == (3, 4)


def _other_commit(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr(World, "scan", lambda world: _of_parent(world))


def _of_parent(world: World) -> int:
    gates.source(world.c, world.env, git.resolve(world.c, f"{world.sha}^"), "config")
    return world.runs


def _other_program(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "program").write_text("#!/bin/sh\n")  # the same bytes, but somebody was there


def _other_place(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "other").symlink_to(folder / "program")
    monkeypatch.setattr(tools, "path", lambda _c, _name: folder / "other")


def _other_code(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr(evidence, "_own_code", lambda: "edited")


def _other_pin(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr(evidence.pins, "digest", lambda row: "edited")


def _other_format(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr(evidence, "FORMAT", 99)


def _too_old(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr(evidence, "LONGEST", timedelta(0))


CHANGES = [_other_commit, _other_program, _other_place, _other_code, _other_pin, _other_format, _too_old]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_may_change_the_report_makes_a_new_scan(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: Change
) -> None:
    assert (world.scan(), world.scan()) == (1, 1)
    change(monkeypatch, tmp_path)
    assert world.scan() == 2


def test_another_database_makes_a_new_scan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (world.scan("deps"), world.scan("deps")) == (1, 1)
    monkeypatch.setattr(databases, "identity", lambda *_: "")  # its place has to be asked
    assert world.scan("deps") == 2
    monkeypatch.setattr(databases, "identity", lambda *_: "advisories sha256:2")
    # The report of this scan names another database than the one that is there now: nothing to answer from.
    assert (world.scan("deps"), world.scan("deps")) == (3, 4)


def test_a_database_that_the_scan_fetches_is_part_of_its_evidence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = iter(["", "", "advisories sha256:1", "advisories sha256:1"])  # asking its place helps not either, at first
    monkeypatch.setattr(databases, "identity", lambda *_: next(known))
    assert (world.scan("deps"), world.scan("deps")) == (1, 1)


def test_without_a_known_database_or_tool_nothing_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "identity", lambda *_: "")
    assert (world.scan("config"), world.scan("config")) == (1, 2)
    monkeypatch.setattr(databases, "identity", lambda *_: "none")

    def missing(*_: object) -> Path:
        raise Stop("not to be had")

    monkeypatch.setattr(tools, "path", missing)
    assert (world.scan("config"), world.scan("config")) == (3, 4)
    assert not list(evidence.folder().glob("*"))


def test_another_range_makes_a_new_scan_of_secrets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (world.scan("secrets"), world.scan("secrets")) == (1, 1)
    monkeypatch.setenv("CI_MERGE_REQUEST_DIFF_BASE_SHA", git.resolve(world.c, f"{world.sha}^"))
    assert world.scan("secrets") == 2


def _edit(**values: object) -> Callable[[dict[str, object]], None]:
    def change(data: dict[str, object]) -> None:
        report = data["report"]
        assert isinstance(report, dict)
        report.update(values)

    return change


@pytest.mark.parametrize(
    "change",
    [
        _edit(outcome="pass", findings=[]),
        _edit(commit="a" * 40),
        lambda data: data.update(digest="0" * 64),
        lambda data: data["inputs"].update(commit="a" * 40),
        lambda data: data.update(surprise=1),
    ],
)
def test_evidence_that_was_changed_answers_nothing(world: World, change: Callable[[dict[str, object]], None]) -> None:
    world.outcome = Outcome.FINDINGS
    assert world.scan() == 1
    (file,) = evidence.folder().glob("*.json")
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    assert world.scan() == 2


def test_evidence_of_something_else_under_this_name_answers_nothing(world: World) -> None:
    assert world.scan("config") == 1
    (config,) = evidence.folder().glob("*.json")
    assert world.scan("code") == 2
    (code,) = set(evidence.folder().glob("*.json")) - {config}
    code.replace(config)
    assert world.scan("config") == 3
    config.write_text("{")
    assert world.scan("config") == 4


def test_evidence_of_another_tool_under_this_name_answers_nothing(world: World, tmp_path: Path) -> None:
    assert world.scan() == 1
    (old,) = evidence.folder().glob("*.json")
    (tmp_path / "program").write_text("#!/bin/sh\n# newer\n")
    assert world.scan() == 2
    (new,) = set(evidence.folder().glob("*.json")) - {old}
    old.replace(new)
    assert world.scan() == 3


@pytest.mark.parametrize("other", [{"commit": "a" * 40}, {"gate": "code"}])
def test_evidence_with_the_report_of_another_gate_or_commit_answers_nothing(
    world: World, other: dict[str, str]
) -> None:
    assert world.scan() == 1
    (file,) = evidence.folder().glob("*.json")
    kept = evidence.Evidence.model_validate_json(file.read_text())
    kept.report = kept.report.model_copy(update=other)
    kept.digest = kept.digest_now()
    file.write_text(kept.model_dump_json())
    assert world.scan() == 2


def test_what_is_too_old_is_removed(world: World) -> None:
    world.scan("config")
    (old,) = evidence.folder().glob("*.json")
    os.utime(old, (0, 0))
    world.scan("code")
    assert old not in set(evidence.folder().glob("*.json"))


def test_the_checkout_holds_no_evidence(world: World) -> None:
    """A job of the repository that writes a report there changes nothing about the next scan."""
    world.outcome = Outcome.FINDINGS
    world.scan()
    file = store.folder(world.sha) / "config.json"
    file.write_text(file.read_text().replace('"findings"', '"pass"', 1))
    assert world.scan() == 1
    assert store.read(world.sha, "config").outcome is Outcome.FINDINGS
