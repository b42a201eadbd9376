"""lint looks at everything and tells findings from broken checks; test ends as pytest did; .ci/run cleans up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from tasks.lib import paths, quality
from tasks.lib.errors import Code, Stop
from tasks.lib.quality import Check
from tasks.lib.tools import pins
from tests.lib.own_tools import OwnTools, go_rows, own

__all__ = ["own"]

PYTHON = sys.executable


def test_every_kind_of_file_has_a_check(c: Context) -> None:
    found = {check.name: [str(word) for word in check.argv] for check in quality.checks(c)}
    assert list(found) == [
        "mypy",
        "ruff check",
        "ruff format",
        "shellcheck",
        "yamllint",
        "gitlab-ci schema",
        "docs.check",
    ]
    assert {"inv", ".ci/run"} <= set(found["shellcheck"])


@pytest.mark.slow
def test_two_lints_of_one_checkout_do_not_lock_each_other_out(tmp_path: Path) -> None:
    argv = [PYTHON, "-m", "mypy", "--cache-dir", str(tmp_path), "-c", "number: int = 1"]
    subprocess.run(argv, cwd=paths.ROOT, check=True, timeout=120)
    assert list(tmp_path.rglob("*.json"))
    assert not list(tmp_path.rglob("*.db*")), "a second mypy that opens this database at the same moment fails"


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("print('fine')", "ok"),
        ("print('line 7'); raise SystemExit(1)", "findings"),
        ("raise SystemExit(2)", "could not run"),
        ("import os; os.kill(os.getpid(), 9)", "could not run"),
    ],
)
def test_a_broken_check_is_neither_fine_nor_a_finding(c: Context, script: str, state: str) -> None:
    result = quality._check(c, Check("try", [PYTHON, "-c", script]))
    assert result.state == state
    assert ("line 7" in result.output) is (state == "findings")


def test_all_run_whatever_the_first_says(c: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    exits = {"a": 1, "b": 0, "c": 9, "d": 0}
    made = [Check(name, [PYTHON, "-c", f"raise SystemExit({code})"]) for name, code in exits.items()]
    monkeypatch.setattr(quality, "checks", lambda _: made)
    states = ["findings", "ok", "could not run", "ok"]
    assert [(one.name, one.state) for one in quality.lint(c)] == list(zip(exits, states, strict=True))


@pytest.mark.parametrize(("exits", "code"), [([0, 0], 0), ([0, 1], 3), ([2, 0], 4), ([1, 2], 4)])
def test_lints_exit_code(
    c: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], exits: list[int], code: int
) -> None:
    import tasks.quality

    made = [Check(str(number), [PYTHON, "-c", f"raise SystemExit({end})"]) for number, end in enumerate(exits)]
    monkeypatch.setattr(quality, "checks", lambda _: made)
    if code == 0:
        tasks.quality.lint(c)
    else:
        with pytest.raises(Stop) as caught:
            tasks.quality.lint(c)
        assert caught.value.code == code


# ------------------------------------------------------------------------------------------------------------- test

TESTS = """
import os, pytest

@pytest.mark.parametrize("number", range(8))
@pytest.mark.LAB
def test_of_the_lab(number): open(os.environ["WORKERS"], "a").write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")

""".replace("LAB", "lab")  # written out, the mark would send this file, too, to the lab's worker
OTHERS = """
import os, pytest, time

@pytest.mark.slow
def test_passes(): pass

@pytest.mark.parametrize("number", range(8))
def test_of_none(number):
    time.sleep(0.1)
    open(os.environ["WORKERS"] + "-of-others", "a").write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")

def test_fails(): assert not os.environ.get("FAIL")
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a few tests, this one's pytest settings and this one's conftest."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_few.py").write_text(TESTS)
    (tmp_path / "tests" / "test_others.py").write_text(OTHERS)
    shutil.copy(paths.ROOT / "pyproject.toml", tmp_path)
    shutil.copy(paths.ROOT / "tests" / "conftest.py", tmp_path / "tests")
    monkeypatch.setenv("PYTHONPATH", str(paths.ROOT))
    monkeypatch.setenv("WORKERS", str(tmp_path / "workers"))
    monkeypatch.setenv("SLIPWAY_LAB_HOME", str(tmp_path / "no-lab"))
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in [name for name in os.environ if name.startswith("PYTEST")]:
        monkeypatch.delenv(name)
    return tmp_path


def last_line(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().out.strip().splitlines()[-1]


@pytest.mark.slow
def test_all_tests_are_one_run_and_the_labs_share_a_worker(
    c: Context, repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    quality.test(c, junit=str(repository / "deep" / "junit.xml"))
    assert " 18 passed in " in last_line(capfd)
    of_lab, of_others = (set((repository / name).read_text().split()) for name in ("workers", "workers-of-others"))
    assert len(of_lab) == 1
    assert of_others - of_lab, "the others wait for the lab"
    assert 'tests="18"' in (repository / "deep" / "junit.xml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("options", "passed"), [({"lab": False}, 10), ({"fast": True}, 9)])
def test_what_is_left_out(
    c: Context, repository: Path, capfd: pytest.CaptureFixture[str], options: dict[str, bool], passed: int
) -> None:
    quality.test(c, **options)  # type: ignore[arg-type]
    assert f" {passed} passed in " in last_line(capfd)
    assert not (repository / "workers").exists()


@pytest.mark.slow
def test_a_failed_test_ends_with_pytests_own_words(
    c: Context, repository: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "yes")
    with pytest.raises(Exit) as caught:
        quality.test(c, match="passes or fails")
    assert (caught.value.code, caught.value.message) == (Code.FINDINGS, None)
    assert " 1 failed, 1 passed in " in last_line(capfd)


@pytest.mark.slow
@pytest.mark.parametrize(("options", "there"), [({}, True), ({"lab": False}, False), ({"match": "passes"}, False)])
def test_programs_are_installed_before_the_first_of_all_tests(
    c: Context, repository: Path, own: OwnTools, options: dict[str, Any], there: bool
) -> None:
    own.go_module()
    own.pins(go_rows("quick"))
    quality.test(c, **options)
    assert pins.target(pins.pin("quick")).exists() is there


@pytest.mark.slow
def test_nothing_selected_is_no_success(c: Context, repository: Path) -> None:
    with pytest.raises(Stop, match="no test matches nothing_like_it") as caught:
        quality.test(c, match="nothing_like_it")
    assert caught.value.code == Code.USAGE


@pytest.mark.slow
def test_a_broken_test_file_is_no_success(c: Context, repository: Path) -> None:
    (repository / "tests" / "test_broken.py").write_text("import nothing_like_it\n")
    with pytest.raises(Exit) as caught:
        quality.test(c, fast=True)
    assert caught.value.code != 0


def test_a_lab_is_taken_down_by_who_brought_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.lib import lab

    monkeypatch.setattr(lab, "find", lambda: None)
    assert quality._takes_lab_down()
    monkeypatch.setattr(lab, "find", lambda: object())
    assert not quality._takes_lab_down()
    monkeypatch.setenv("CI", "true")
    assert quality._takes_lab_down()


# ---------------------------------------------------------------------------------------------------------- .ci/run

INV = """#!/bin/sh
echo "$* CI=$CI stdin=$(cat)" >>calls
echo "output of $*"
[ "$*" != "$FAILS" ] || exit 3
"""


@pytest.mark.parametrize(
    ("fails", "code", "calls"),
    [
        ("none", 0, ["-e lint", "-e test", "lab.down"]),
        ("-e lint", 3, ["-e lint", "lab.down"]),
        ("-e test", 3, ["-e lint", "-e test", "lab.down"]),
        ("lab.down", 0, ["-e lint", "-e test", "lab.down"]),
    ],
)
def test_ci_run_lints_tests_and_leaves_nothing_running(tmp_path: Path, fails: str, code: int, calls: list[str]) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(paths.ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "inv").write_text(INV)
    (tmp_path / "inv").chmod(0o755)
    env = {**os.environ, "FAILS": fails}
    done = subprocess.run(
        [tmp_path / ".ci" / "run"], cwd="/", env=env, input="not for them", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert (tmp_path / "calls").read_text().splitlines() == [f"{call} CI=true stdin=" for call in calls]
    assert done.stdout.splitlines()[-1] == f"output of {calls[-2]}"
