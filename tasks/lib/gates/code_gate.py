"""Dangerous code in the commit's Python and shell files, found by bandit and ShellCheck."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import code_files, databases, running
from tasks.lib.gates.code_files import CANARIES, PLANTED, Sources
from tasks.lib.gates.models import Finding, Report
from tasks.lib.runner import run
from tasks.lib.settings import Environment, Severity
from tasks.lib.tools import find, pins

GATE = "code"
TOOL = "bandit, shellcheck"
SECONDS = 300.0
CONFIG = "tools/bandit/config.yaml"
BATCH = 200  # shell scripts per run: the words of one command line have a limit
SHELLCHECK = ["--norc", "--format=json1", "--"]
PLANTED_SCRIPT = f"{PLANTED}/{CANARIES['shell'][0]}"
QUOTES_A_PASSWORD = ("B105", "B106", "B107")
LEVELS = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "info": Severity.LOW, "style": Severity.LOW}
# ShellCheck goes on with exit code 1 when it has given up on a file: another shell, or nothing that it can parse.
GAVE_UP = (1070, 1071, 1072, 1073, 1088, 1089)


def check(c: Context, env: Environment, sha: str, repo: Path = paths.ROOT) -> Report:
    """Runs both analysers over the commit's files, one planted file each among them; keeps and returns the report."""

    def look(report: Report, scratch: Path) -> None:
        sources = code_files.gather(c, sha, scratch, repo)
        report.covered.lines, report.covered.bytes = sources.lines, sources.bytes
        report.covered.files = sorted([*sources.python.values(), *sources.shell.values()])
        report.canary.planted = list(CANARIES)
        bandit, shellcheck = tools.path(c, "bandit"), tools.path(c, "shellcheck")
        about = {"bandit": bandit, "shellcheck": shellcheck}
        found = (find.version_of(c, one, pins.pin(name).version_args) for name, one in about.items())
        report.version = ", ".join(found)
        with ThreadPoolExecutor(1) as beside:
            shell = beside.submit(_shellcheck_answers, c, shellcheck, sources)
            _bandit(c, report, bandit, sources, scratch)
            _shellcheck(report, shell.result(), sources)

    return running.examine(GATE, sha, TOOL, look)


def _bandit(c: Context, report: Report, program: Path, sources: Sources, scratch: Path) -> None:
    # Without --exclude bandit leaves out folders named .tox, .eggs, CVS and others; // is in no path.
    words: list[str | Path] = [program, "--configfile", paths.ROOT / CONFIG, "--exclude", "//"]
    words += ["--ignore-nosec", "--format", "json", "--quiet", "--recursive", PLANTED]
    report.command = running.shown(["bandit", *words[1:], "python-*"], scratch)
    parts = sorted({kept.partition("/")[0] for kept in sources.python}) or [PLANTED]
    with ThreadPoolExecutor(len(parts)) as pool:
        answers = list(pool.map(lambda part: _bandit_answer(c, [*words, part], sources), parts))
    planted = f"{PLANTED}/{CANARIES['python'][0]}"
    seen = {kept for answer in answers for kept in answer["metrics"]}
    _all_looked_at("bandit", [name for kept, name in sources.python.items() if kept not in seen])
    if all(any(one["filename"] == planted for one in answer["results"]) for answer in answers):
        report.canary.caught.append("python")
    found: dict[tuple[str, str, int], Finding] = {}
    for one in itertools.chain.from_iterable(answer["results"] for answer in answers):
        if one["filename"] == planted:
            continue
        name, line = sources.python[one["filename"]], int(one["line_number"])
        found[one["test_id"], name, line] = Finding(
            id=one["test_id"],
            severity=databases.severity(one["issue_severity"]),
            title=_title(one),
            file=name,
            line=line,
            url=one["more_info"],
            fixed=f"change the line: {one['more_info']}",
            aliases=[one["test_name"]],
        )
    report.findings += found.values()


def _bandit_answer(c: Context, words: list[str | Path], sources: Sources) -> dict[str, Any]:
    result = run(c, words, step="analyse Python", timeout=SECONDS, ok=(0, 1), cwd=sources.folder)
    answer: dict[str, Any] = json.loads(result.stdout)
    for problem in answer["errors"]:
        name = sources.python.get(problem["filename"], problem["filename"])
        raise _gave_up(name, "bandit", problem["reason"])
    if bool(answer["results"]) != (result.exited == 1):
        raise Stop("code: bandit's exit code and report contradict each other", Code.COULD_NOT_RUN)
    return answer


def _title(one: dict[str, Any]) -> str:
    """Bandit's sentence; of a hard-coded password only what comes before the password."""
    text = str(one["issue_text"])
    return text.partition(":")[0] if one["test_id"] in QUOTES_A_PASSWORD else text


def _shellcheck_answers(c: Context, program: Path, sources: Sources) -> list[list[dict[str, Any]]]:
    """The comments on each batch of scripts; every batch has the planted one at its end."""
    names = list(sources.shell)
    answers = []
    for batch in [names[start : start + BATCH] for start in range(0, len(names), BATCH)] or [[]]:
        # The variable holds switches, --exclude among them.
        done = run(
            c, [program, *SHELLCHECK, *batch, PLANTED_SCRIPT], step="analyse shell", timeout=SECONDS, ok=(0, 1),
            cwd=sources.folder, env={"SHELLCHECK_OPTS": ""},
        )  # fmt: skip
        answers.append(json.loads(done.stdout)["comments"])
    return answers


def _shellcheck(report: Report, answers: Sequence[Sequence[dict[str, Any]]], sources: Sources) -> None:
    report.command += "; " + " ".join(["shellcheck", *SHELLCHECK, f"({len(sources.shell)} files)"])
    for comments in answers:
        report.findings += _shell_findings([one for one in comments if one["file"] != PLANTED_SCRIPT], sources)
    if all(any(one["file"] == PLANTED_SCRIPT and one["level"] == "error" for one in some) for some in answers):
        report.canary.caught.append("shell")


def _shell_findings(comments: Sequence[dict[str, Any]], sources: Sources) -> list[Finding]:
    found = []
    for one in comments:
        name, code = sources.shell[one["file"]], int(one["code"])
        if code in GAVE_UP:
            raise _gave_up(name, "shellcheck", f"line {one['line']}: {one['message']}")
        url = f"https://www.shellcheck.net/wiki/SC{code}"
        found.append(
            Finding(
                id=f"SC{code}",
                severity=LEVELS.get(one["level"], Severity.UNKNOWN),
                title=one["message"],
                file=name,
                line=int(one["line"]),
                url=url,
                fixed=f"change the line: {url}",
            )
        )
    return found


def _gave_up(name: str, program: str, why: str) -> Stop:
    return Stop(f"code: {program} cannot read {name}: {why}"[:400], Code.COULD_NOT_RUN, f"edit {name}")


def _all_looked_at(program: str, left_out: Sequence[str]) -> None:
    if left_out:
        raise Stop(f"code: {program} did not look at {', '.join(sorted(left_out)[:5])}", Code.COULD_NOT_RUN)
