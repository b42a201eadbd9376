"""Two traces are the same or they are not: every kind of difference is named, and every line of a log accounted for."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.lib import parity, paths
from tasks.lib.errors import Code, Stop

Event = dict[str, Any]


def call(words: str, lane: int = 1, digest: str = "d1", code: int = 0) -> Event:
    program = {"name": words.split()[0], "version": "1", "sha256": digest}
    return {"event": "call", "run": "r", "lane": lane, "argv": words.split(), "exit": code, "program": program}


START: Event = {"event": "start", "run": "r", "task": "scan.deps", "arguments": {"env": "local"}}
START["inputs"] = {"commit": "c1", "tree": "clean", "files": {"requirements.txt": "f1"}, "variables": {}}
END: Event = {"event": "end", "run": "r", "exit": 0, "databases": {"deps": "b1"}, "outputs": {"c1/deps.json": "o1"}}
GOOD: list[Event] = [START, call("git show"), call("safety check"), END]


def write(file: Path, events: list[Event]) -> Path:
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    return file


def differences(tmp_path: Path, events: list[Event]) -> list[tuple[str, str, str]]:
    left, right = (parity.load(write(tmp_path / name, made)) for name, made in (("a", GOOD), ("b", events)))
    return [(one.what, one.left, one.right) for one in parity.compare(left, right)]


def spoilt(change: Callable[[list[Event]], object]) -> list[Event]:
    events = copy.deepcopy(GOOD)
    change(events)
    return events


def test_the_same_work_has_no_difference_whatever_its_run_is_called(tmp_path: Path) -> None:
    renamed = [{**event, "run": "another", **({"lane": 77} if "lane" in event else {})} for event in GOOD]
    prepared = [{**START, "run": "p", "task": "tools.install"}, {**END, "run": "p", "outputs": {}}]
    assert differences(tmp_path, [*prepared, *renamed]) == []


@pytest.mark.parametrize(
    ("change", "what", "left", "right"),
    [
        (lambda e: e[0]["arguments"].update(env="staging"), "argument: env", "local", "staging"),
        (lambda e: e[0]["inputs"].update(commit="c2"), "input: commit", "c1", "c2"),
        (lambda e: e[0]["inputs"].update(tree="t"), "input: tree", "clean", "t"),
        (
            lambda e: e[0]["inputs"]["files"].update({"requirements.txt": "f2"}),
            "input: file requirements.txt",
            "f1",
            "f2",
        ),
        (lambda e: e[0]["inputs"]["variables"].update(TRIVY_X="v"), "input: variable TRIVY_X", "-", "v"),
        (lambda e: e.insert(1, call("curl x")), "call", "-", "curl x -> 0 [1 d1]"),
        (lambda e: e.pop(1), "call", "git show -> 0 [1 d1]", "-"),
        (lambda e: e.reverse() or e.insert(0, e.pop()) or e.append(e.pop(1)), "order of calls", "git show", "safety"),
        (lambda e: e[3].update(exit=3), "result: exit", "0", "3"),
        (lambda e: e[3].update(databases={"deps": "b2"}), "database: deps", "b1", "b2"),
        (lambda e: e[3].update(outputs={"c1/deps.json": "o2"}), "output: c1/deps.json", "o1", "o2"),
        (lambda e: e[3].update(outputs={}), "output: c1/deps.json", "o1", "-"),
        (lambda e: e.pop(3), "result: exit", "0", "None"),
    ],
)
def test_each_kind_of_difference_is_named(
    tmp_path: Path, change: Callable[[list[Event]], object], what: str, left: str, right: str
) -> None:
    found = differences(tmp_path, spoilt(change))
    assert any(one[0] == what and one[1].startswith(left) and one[2].startswith(right) for one in found), found


@pytest.mark.parametrize(("digest", "code"), [("d2", 0), ("d1", 1)])
def test_another_program_or_exit_code_is_another_call(tmp_path: Path, digest: str, code: int) -> None:
    found = differences(tmp_path, spoilt(lambda e: e.__setitem__(2, call("safety check", digest=digest, code=code))))
    assert [one[0] for one in found] == ["call", "call"]


def test_calls_of_several_threads_have_no_order(tmp_path: Path) -> None:
    def two_lanes(events: list[Event]) -> None:
        events[1:3] = [call("safety check", lane=2), call("git show", lane=1)]

    assert differences(tmp_path, spoilt(two_lanes)) == []


def test_a_task_that_only_one_machine_ran_is_a_difference(tmp_path: Path) -> None:
    other = [{**START, "run": "s"}, {**END, "run": "s"}]
    assert differences(tmp_path, [*GOOD, *other]) == [("task", "-", "ran")]


@pytest.mark.parametrize("text", ["", "{}", "no json", '["list"]', '{"event": "start", "run": "r"}'])
def test_what_is_no_trace_is_bad_usage(tmp_path: Path, text: str) -> None:
    (tmp_path / "t").write_text(text)
    for file in (tmp_path / "t", tmp_path / "not-there"):
        with pytest.raises(Stop, match="parity: ") as caught:
            parity.load(file)
        assert caught.value.code == Code.USAGE


GITLAB = "2026-11-23T07:00:00.1Z 00O \x1b[0KRunning\x1b[0;m\n\x1b[32;1m$ {line}\x1b[0;m\n$ git rev-parse HEAD\n"
LOCALLY = "scan:deps \x1b[0mstarting\nscan:deps    \x1b[92m$ {line}\x1b[0m\nscan:deps    > $ git rev-parse HEAD\n"


@pytest.mark.parametrize("log", [GITLAB, LOCALLY])
@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("./inv -e scan.deps --env $SLIPWAY_ENV", False),
        ("echo hello", True),
        ("./inv -e scan.code --env $SLIPWAY_ENV", True),  # it left no trace
        ("./inv -e scan.deps || true", True),
        ("./inv -e scan.deps # collapsed multi-line command", True),
    ],
)
def test_every_line_of_a_log_is_accounted_for(tmp_path: Path, log: str, line: str, seen: bool) -> None:
    runs = parity.load(write(tmp_path / "a", GOOD))
    assert parity.unaccounted(log.format(line=line), runs) == ([line] if seen else [])


def test_a_line_that_ran_twice_needs_two_traces(tmp_path: Path) -> None:
    runs = parity.load(write(tmp_path / "a", GOOD))
    log = LOCALLY.format(line="./inv -e scan.deps") * 2
    assert parity.unaccounted(log, runs) == ["./inv -e scan.deps"]
    assert parity.unaccounted(log, [*runs, *runs]) == []


@pytest.mark.slow
def test_the_task_shows_what_differs_and_fails(tmp_path: Path) -> None:
    left, same = write(tmp_path / "left", GOOD), write(tmp_path / "same", GOOD)
    right = write(tmp_path / "right", spoilt(lambda e: e[0]["inputs"]["variables"].update(PIP_X="v")))
    log = tmp_path / "log"
    log.write_text(LOCALLY.format(line="make it so"))
    empty = write(tmp_path / "empty", [])

    def inv(*words: object) -> tuple[int, str]:
        argv = [str(paths.ROOT / "inv"), "parity", *map(str, words)]
        env = {**os.environ, "SLIPWAY_VENV": sys.prefix}
        done = subprocess.run(argv, cwd=paths.ROOT, env=env, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    assert inv("--left", left, "--right", same) == (0, "the same: scan.deps\n")
    code, said = inv("--left", left, "--right", right, "--log", log)
    assert code == Code.FINDINGS
    assert "input: variable PIP_X" in said and "make it so" in said and "2 differences" in said
    assert [inv("--left", left)[0], inv("--left", left, "--right", same, "--log", empty)[0]] == [2, 2]
