"""The checks behind `lint` and the pytest call behind `test`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from invoke.context import Context
from invoke.exceptions import Exit

from tasks.lib import ci, git, paths, terminal, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import redact, run
from tasks.lib.tools import pins

CHECK_SECONDS = 600.0
TEST_SECONDS = 5400.0
FAILED, NOTHING_SELECTED = 1, 5  # pytest's exit codes
LAB_DOWN_AFTER = "SLIPWAY_LAB_DOWN_AFTER_TESTS"
"""Set for a test session that is to take the lab down at its end; tests/conftest.py reads it."""


@dataclass(frozen=True)
class Check:
    """One program of lint. found: its exit code for findings; any other but 0 means that it could not run."""

    name: str
    argv: list[str | Path]
    found: int = 1
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    name: str
    state: Literal["ok", "findings", "could not run"]
    seconds: float
    output: str


def _module(name: str, *words: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", name, *words]


def checks(c: Context) -> list[Check]:
    """Everything that lint runs, the slowest first."""
    tracked = git.ask(c, "ls-files", "--cached", "--others", "--exclude-standard", "*.sh", repo=paths.ROOT).splitlines()
    shell = [name for name in ["inv", ".ci/run", *tracked] if (paths.ROOT / name).is_file()]
    ours = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", ".gitlab-ci.yml"]
    front_door = _module("invoke", "--search-root", paths.ROOT)
    return [
        Check("mypy", _module("mypy", "-p", "tasks", "-p", "slipway_service"), env={"MYPYPATH": "service"}),
        Check("ruff check", _module("ruff", "check", "--quiet", ".")),
        Check("ruff format", _module("ruff", "format", "--check", ".")),
        Check("shellcheck", [tools.path(c, "shellcheck"), *shell]),
        Check("yamllint", _module("yamllint", "--strict", ".")),
        Check("gitlab-ci schema", _module("check_jsonschema", *ours)),
        Check("docs.check", [*front_door, "docs.check"], found=Code.FINDINGS),
    ]


def lint(c: Context) -> list[Result]:
    """Runs all checks, as many at a time as there are cores."""
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return list(pool.map(lambda check: _check(c, check), checks(c)))


def _check(c: Context, check: Check) -> Result:
    began = time.monotonic()

    def result(state: Literal["ok", "findings", "could not run"], output: str) -> Result:
        return Result(check.name, state, time.monotonic() - began, output.strip())

    try:
        done = run(
            c,
            check.argv,
            step=check.name,
            timeout=CHECK_SECONDS,
            ok=(0, check.found),
            env=check.env,
            cwd=paths.ROOT,
        )
    except Stop as stop:
        return result("could not run", stop.sentence)
    return result("findings" if done.exited else "ok", redact(f"{done.stdout}{done.stderr}"))


def fix(c: Context) -> None:
    """Corrects in place what ruff can correct; what it cannot is told by the checks."""
    for words in (["check", "--fix", "--quiet", "."], ["format", "."]):
        run(c, _module("ruff", *words), step="ruff", timeout=CHECK_SECONDS, ok=(0, 1), cwd=paths.ROOT)


def test(c: Context, lab: bool = True, fast: bool = False, match: str = "", junit: str = "") -> None:
    """One pytest process, so that the run ends with one summary line. Raises Exit (3) when a test failed.

    Tests marked `lab` share one platform: they run one after the other on one worker, the others beside them.
    Those also marked `beside` keep to themselves there and run with the others; what damages it (`alone`) comes last.
    All tests together need every external program. What is missing is installed before the first, with progress: pytest
    would be silent for 20 minutes, and a test may take 15. A part of the tests installs what it comes to ask for.
    """
    workers = max(2, min(8, os.cpu_count() or 2))
    if lab and not fast and not match:
        tools.paths(c, [row.name for row in pins.chosen()])
    argv = _module("pytest", f"--numprocesses={workers}", "--dist=loadscope")
    left_out = ["lab", "slow"] if fast else [] if lab else ["lab"]
    argv += ["-m", " and ".join(f"not {mark}" for mark in left_out)] if left_out else []
    argv += ["-k", match] if match else []
    argv += [f"--junitxml={Path(junit).resolve()}"] if junit else []
    argv += ["--color=yes"] if terminal.is_terminal() else []
    env = {LAB_DOWN_AFTER: "1"} if "lab" not in left_out and _takes_lab_down() else {}
    # 2 to 4: interrupted, broken inside, used wrongly; the runner names those.
    done = run(
        c,
        argv,
        step="test",
        timeout=TEST_SECONDS,
        ok=(0, FAILED, NOTHING_SELECTED),
        code=Code.UNEXPECTED,
        env=env,
        cwd=paths.ROOT,
        show=True,
    )
    if done.exited == NOTHING_SELECTED:
        raise Stop(f"no test matches {match or 'these options'}", Code.USAGE, "./inv test --help")
    if done.exited == FAILED:
        raise Exit(code=int(Code.FINDINGS))  # pytest's summary is the last line


def _takes_lab_down() -> bool:
    """A platform that somebody works with stays; a pipeline leaves nothing running."""
    from tasks.lib import lab

    return ci.in_ci() or lab.find() is None
