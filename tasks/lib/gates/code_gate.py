"""Dangerous code in the commit's Python and shell files, found by bandit and ShellCheck."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import git, paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import databases, running
from tasks.lib.gates.models import Finding, Report
from tasks.lib.runner import run
from tasks.lib.settings import Environment, Severity
from tasks.lib.tools import find, pins

GATE = "code"
TOOL = "bandit, shellcheck"
SECONDS = 300.0
CONFIG = "tools/bandit/config.yaml"
PLANTED = "planted"
# One known-bad file per language, beside the commit's files and in the same run.
CANARIES = {
    "python": ("planted.py", "import subprocess\n\nsubprocess.call(input(), shell=True)\n"),
    "shell": ("planted.sh", '#!/bin/sh\nfor word in $@; do echo "$word"; done\n'),
}
BATCH = 200  # shell scripts per run: the words of one command line have a limit
QUOTES_A_PASSWORD = ("B105", "B106", "B107")
LEVELS = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "info": Severity.LOW, "style": Severity.LOW}
# ShellCheck goes on with exit code 1 when it has given up on a file: another shell, or nothing that it can parse.
GAVE_UP = (1070, 1071, 1072, 1073, 1088, 1089)
PYTHON_LINE = re.compile(rb"^#!.*\bpython[0-9.]*\b")
SHELL_LINE = re.compile(rb"^#!.*\b(?:ba|da|k)?sh\b")
SWITCHED_OFF = re.compile(rb"#(?=[ \t]*shellcheck[ \t].*\b(?:disable|extended-analysis)=)")


@dataclass
class Sources:
    """The files of a commit by language, in a folder of their own: name in that folder to name in the commit."""

    folder: Path
    python: dict[str, str] = field(default_factory=dict)
    shell: dict[str, str] = field(default_factory=dict)
    lines: int = 0
    bytes: int = 0


def check(c: Context, env: Environment, sha: str, repo: Path = paths.ROOT) -> Report:
    """Runs both analysers over the commit's files, one planted file each among them; keeps and returns the report."""

    def look(report: Report, scratch: Path) -> None:
        sources = gather(c, sha, scratch, repo)
        report.covered.lines, report.covered.bytes = sources.lines, sources.bytes
        report.covered.files = sorted([*sources.python.values(), *sources.shell.values()])
        report.canary.planted = list(CANARIES)
        bandit, shellcheck = tools.path(c, "bandit"), tools.path(c, "shellcheck")
        about = {"bandit": bandit, "shellcheck": shellcheck}
        found = (find.version_of(c, one, pins.pin(name).version_args) for name, one in about.items())
        report.version = ", ".join(found)
        _bandit(c, report, bandit, sources, scratch)
        _shellcheck(c, report, shellcheck, sources, scratch)

    return running.examine(GATE, sha, TOOL, look)


def gather(c: Context, sha: str, scratch: Path, repo: Path = paths.ROOT) -> Sources:
    """Takes the Python and shell files out of the commit. Raises Stop (4) if it has none, or leaves some out."""
    tree = git.unpack(c, sha, scratch / "tree", repo=repo)
    listed = git.ask(c, "ls-tree", "-r", "-z", sha, repo=repo).split("\0")
    # Links lead to files that are looked at under their own name; submodules are other repositories.
    names = [entry.partition("\t")[2] for entry in listed if entry.startswith("100")]
    if left_out := [name for name in names if not (tree / name).is_file()]:
        raise Stop(
            f"code: export-ignore in .gitattributes keeps {', '.join(left_out[:5])} out of the archive of the commit",
            Code.COULD_NOT_RUN,
        )
    sources = Sources(scratch / "code")
    for name in names:
        text = (tree / name).read_bytes()
        first = text.split(b"\n", 1)[0]
        if name.endswith((".py", ".pyi")) or PYTHON_LINE.match(first):
            _add(sources, sources.python, name, name if name.endswith(".py") else f"{name}.py", text)
        elif name.endswith((".sh", ".bash", ".ksh")) or SHELL_LINE.match(first):
            # Comments in the code that switch a check off were not approved and never end: they do not count.
            _add(sources, sources.shell, name, name, SWITCHED_OFF.sub(b"##", text))
    if not sources.python and not sources.shell:
        raise Stop(
            f"code: commit {sha[:8]} holds no Python and no shell file, so nothing was looked at", Code.COULD_NOT_RUN
        )
    (sources.folder / PLANTED).mkdir()
    for name, planted in CANARIES.values():
        (sources.folder / PLANTED / name).write_text(planted, encoding="utf-8")
    return sources


def _add(sources: Sources, kind: dict[str, str], name: str, kept: str, text: bytes) -> None:
    kept = f"commit/{kept}"
    target = sources.folder / kept
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text)
    kind[kept] = name
    sources.lines += text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
    sources.bytes += len(text)


def _bandit(c: Context, report: Report, program: Path, sources: Sources, scratch: Path) -> None:
    # Without --exclude bandit leaves out folders named .tox, .eggs, CVS and others; // is in no path.
    words: list[str | Path] = [program, "--recursive", ".", "--configfile", paths.ROOT / CONFIG, "--exclude", "//"]
    words += ["--ignore-nosec", "--format", "json", "--quiet"]
    report.command = running.shown(["bandit", *words[1:]], scratch)
    result = run(c, words, step="analyse Python", timeout=SECONDS, ok=(0, 1), cwd=sources.folder)
    answer = json.loads(result.stdout)
    names = {f"./{kept}": name for kept, name in sources.python.items()}
    planted = f"./{PLANTED}/{CANARIES['python'][0]}"
    for problem in answer["errors"]:
        raise _gave_up(names.get(problem["filename"], problem["filename"]), "bandit", problem["reason"])
    _all_looked_at("bandit", [name for kept, name in names.items() if kept not in answer["metrics"]])
    if bool(answer["results"]) != (result.exited == 1):
        raise Stop("code: bandit's exit code and report contradict each other", Code.COULD_NOT_RUN)
    found: dict[tuple[str, str, int], Finding] = {}
    for one in answer["results"]:
        if one["filename"] == planted:
            _caught(report, "python")
            continue
        name, line = names[one["filename"]], int(one["line_number"])
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


def _title(one: dict[str, Any]) -> str:
    """Bandit's sentence; of a hard-coded password only what comes before the password."""
    text = str(one["issue_text"])
    return text.partition(":")[0] if one["test_id"] in QUOTES_A_PASSWORD else text


def _shellcheck(c: Context, report: Report, program: Path, sources: Sources, scratch: Path) -> None:
    planted = f"{PLANTED}/{CANARIES['shell'][0]}"
    names = list(sources.shell)
    words: list[str | Path] = [program, "--norc", "--format=json1", "--"]
    report.command += "; " + running.shown(["shellcheck", *words[1:], f"({len(names)} files)"], scratch)
    batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)] or [[]]
    caught = 0
    for batch in batches:
        # The variable holds switches, --exclude among them.
        done = run(
            c, [*words, *batch, planted], step="analyse shell", timeout=SECONDS, ok=(0, 1), cwd=sources.folder,
            env={"SHELLCHECK_OPTS": ""},
        )  # fmt: skip
        comments = json.loads(done.stdout)["comments"]
        caught += any(one["file"] == planted and one["level"] == "error" for one in comments)
        report.findings += _shell_findings([one for one in comments if one["file"] != planted], sources)
    if caught == len(batches):
        _caught(report, "shell")


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


def _caught(report: Report, language: str) -> None:
    if language not in report.canary.caught:
        report.canary.caught.append(language)


def _gave_up(name: str, program: str, why: str) -> Stop:
    return Stop(f"code: {program} cannot read {name}: {why}"[:400], Code.COULD_NOT_RUN, f"edit {name}")


def _all_looked_at(program: str, left_out: Sequence[str]) -> None:
    if left_out:
        raise Stop(f"code: {program} did not look at {', '.join(sorted(left_out)[:5])}", Code.COULD_NOT_RUN)
