"""Traces: whole lines whoever writes, nothing secret in them, nothing of the machine, and nothing at all when off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from tasks.lib import paths, trace, trace_outputs, trace_words
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import run

WRITER = "import sys; from tasks.lib import trace\nfor n in range(200): trace.write({'n': n, 'by': 'x' * 3000})"


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """Tracing is on; what is called returns the events so far."""
    file = tmp_path / "trace.jsonl"
    monkeypatch.setenv(trace.FILE, str(file))
    monkeypatch.setenv(trace.RUN, "")
    monkeypatch.setattr(paths, "work", lambda: tmp_path / "work")
    return lambda: [json.loads(line) for line in file.read_text().splitlines()]


def test_off_nothing_is_loaded_and_nothing_is_written(tmp_path: Path) -> None:
    code = "import sys; from invoke.context import Context; from tasks.lib.runner import run\n"
    code += "run(Context(), ['true'], step='try', timeout=9, quiet=True); print('tasks.lib.trace' in sys.modules)"
    env = {name: value for name, value in os.environ.items() if name != trace.FILE}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=paths.ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr
    assert not trace.on()


def test_a_call_is_noted_with_the_program_that_really_ran(
    c: Context, traced: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    run(c, ["sh", "-c", "exit 3", paths.ROOT / "inv"], step="try", timeout=9, ok=(3,), cwd=tmp_path)
    run(c, ["env", "-u", "HOME", "A=b", "/bin/sh", "-c", ":"], step="try", timeout=9, cwd=tmp_path)
    event, other = traced()
    assert other["argv"][-5:] == ["env", "A=b", "sh", "-c", ":"] and other["program"] == event["program"]
    assert event["argv"][0] == "env" and event["argv"][-4:] == ["sh", "-c", "exit 3", "$ROOT/inv"]
    assert event["exit"] == 3
    assert event["program"]["name"] == "sh" and len(event["program"]["sha256"]) == 16


def test_a_failed_call_is_noted_too(c: Context, traced: Callable[[], list[dict[str, Any]]]) -> None:
    for words in (["false"], ["no-such-program"]):
        with pytest.raises(Stop):
            run(c, words, step="try", timeout=9)
    assert [(one["program"]["name"], one["exit"]) for one in traced()] == [("false", 1), ("no-such-program", 127)]


def test_no_secret_is_in_a_trace(
    c: Context, traced: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "tok-abcdef")
    with trace.task("try", {"reason": "because of tok-abcdef", "env": "local"}):
        words = ["echo", "pass word", "tok-abcdef", "https://ann:pw@example.com/x"]
        run(c, words, step="try", timeout=9, secrets=["pass word"], stdin="from-stdin", env={"NEW_SECRET": "in-env"})
    text = json.dumps(traced())
    for secret in ("pass word", "tok-abcdef", "ann:pw", "from-stdin", "in-env"):
        assert secret not in text
    start = traced()[0]
    assert start["inputs"]["variables"]["DEPLOY_TOKEN"] == "secret"
    assert start["arguments"] == {"reason": "because of ***", "env": "local"}


def test_lines_stay_whole_whoever_writes(traced: Callable[[], list[dict[str, Any]]]) -> None:
    words = [sys.executable, "-c", WRITER]
    others = [subprocess.Popen(words, cwd=paths.ROOT) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: trace.write({"n": n, "by": "y" * 3000}), range(200)))
    assert [one.wait(60) for one in others] == [0, 0, 0]
    assert len(traced()) == 4 * 200


def test_what_only_fills_caches_is_left_out(c: Context, traced: Callable[[], list[dict[str, Any]]]) -> None:
    with trace.aside():
        run(c, ["true"], step="try", timeout=9)
        with trace.aside():
            pass
        run(c, ["true"], step="try", timeout=9)
    run(c, ["echo"], step="try", timeout=9)
    assert [one["program"]["name"] for one in traced()] == ["echo"]


def test_a_task_ends_with_its_code_and_what_it_made(traced: Callable[[], list[dict[str, Any]]], tmp_path: Path) -> None:
    reports = tmp_path / "work/releases/abc/reports"
    reports.mkdir(parents=True)
    (reports / "old.json").write_text("{}")
    with pytest.raises(Stop), trace.task("scan.deps", {"env": "local"}):
        report = {"gate": "deps", "database": {"digest": "sha256:1"}, "started": "2026-11-23T07:00:00.1Z"}
        (reports / "deps.json").write_text(json.dumps(report))
        raise Stop("no", Code.FINDINGS)
    start, end = traced()
    assert start["run"] == end["run"]
    assert (end["exit"], end["databases"], list(end["outputs"])) == (3, {"deps": "sha256:1"}, ["abc/reports/deps.json"])
    assert set(start["inputs"]) == {"commit", "tree", "files", "locks of the tools", "python", "variables"}
    assert "gitops/environments/local/environment.yaml" in start["inputs"]["files"]


@pytest.mark.parametrize(("end", "code"), [(KeyboardInterrupt(), 130), (ValueError(), 1), (SystemExit(2), 2)])
def test_every_way_to_end_is_noted(traced: Callable[[], list[dict[str, Any]]], end: BaseException, code: int) -> None:
    with pytest.raises(type(end)), trace.task("try", {}):
        raise end
    assert traced()[-1]["exit"] == code


def test_a_file_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(trace.FILE, str(tmp_path / "file" / "trace"))
    with pytest.raises(Stop) as caught, trace.task("try", {}):
        pytest.fail("the task ran without its trace")
    assert caught.value.code == Code.USAGE
    assert caught.value.sentence.endswith("cannot be written: File exists")


@pytest.mark.slow
def test_the_front_door_notes_each_task_with_what_it_calls(
    traced: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_VENV", sys.prefix)
    words = [str(paths.ROOT / "inv"), "docs.check", "docs.check"]
    subprocess.run(words, cwd=paths.ROOT, check=True, capture_output=True, timeout=120)
    events = traced()
    starts = [one for one in events if one["event"] == "start"]
    assert [one["task"] for one in starts] == ["docs.check", "docs.check"]
    runs = [one["run"] for one in starts]
    assert {one["run"] for one in events if one["event"] == "call"} == set(runs)
    assert [(one["run"], one["exit"]) for one in events if one["event"] == "end"] == [(name, 0) for name in runs]


def test_names_that_are_new_in_each_run_get_lost() -> None:
    known, unknown = "a" * 40, "b" * 40
    words = {
        f"{paths.ROOT}/service": "$ROOT/service",
        f"{paths.cache()}/tools/trivy/0.74.0-4027b7b32f0a/trivy": "$CACHE/tools/trivy/trivy",
        f"--chdir={trace_words.tempfile.gettempdir()}/slipway-deps-ab12_xyz": "--chdir=$TMP/slipway-deps-",
        f"{trace_words.tempfile.gettempdir()}/slipway-deps-ab12_xyz/out.txt": "$TMP/slipway-deps-/out.txt",
        f"^{known}": f"^{known}",
        f"--branch={unknown}": "--branch=$OBJECT",
        "config-1234567890123456.json": "config-N.json",
    }
    assert {word: trace_words.plain(word, {known}) for word in words} == words


def test_times_and_random_ids_do_not_count_but_all_else_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "work", lambda: tmp_path)
    folder = tmp_path / "releases" / "abc"
    folder.mkdir(parents=True)

    def digests(seconds: str, uuid: str, version: str) -> dict[str, str]:
        things = [{"id": uuid, "at": f"2026-11-23T07:00:{seconds}Z"}, {"version": version}]
        (folder / "a.json").write_text(json.dumps(things if seconds < "30" else things[::-1]))
        (folder / "b.html").write_text(f"2026-11-23 07:00:{seconds} UTC, took {seconds}.1 s; {version}")
        return trace_outputs.since({})[0]

    one = digests("01", "f3a9099c-9a56-4784-aa22-c3cfcc22cc33", "1")
    assert digests("59", "0338b008-88d9-4a4b-a1ae-208cb60d7884", "1") == one
    changed = digests("01", "f3a9099c-9a56-4784-aa22-c3cfcc22cc33", "2")
    assert [name for name in one if one[name] != changed[name]] == ["abc/a.json", "abc/b.html"]


@pytest.mark.parametrize("name", ["SLIPWAY_NEW", "TRIVY_SEVERITY", "PIP_INDEX_URL", "SAFETY_STAGE", "ANYTHING_ELSE"])
def test_a_variable_counts_unless_it_is_known_to_be_neutral(name: str) -> None:
    assert set(trace_words.variables({name: "x", "CI_JOB_ID": "7", "HOME": "/root", "LC_ALL": "C"})) == {name}
    assert trace_words.variables({name: "x"}) != trace_words.variables({name: "y"})
