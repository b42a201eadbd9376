"""Dangerous lines of Python and shell are found in the commit, whatever it says to switch that off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import git, paths
from tasks.lib.gates import code_files, code_gate
from tasks.lib.gates.models import Outcome, Report
from tasks.lib.settings import Environment, Severity
from tests.gates.conftest import Repo

pytestmark = pytest.mark.usefixtures("programs")
CALL = "import subprocess\n\nsubprocess.call(input(), shell=True)"
LOOP = '#!/bin/sh\nfor word in $@; do echo "$word"; done\n'
Files = dict[str, str | None]


def scan(c: Context, env: Environment, repo: Repo, files: Files) -> Report:
    return code_gate.check(c, env, repo.commit(files), repo.path)


def found(report: Report) -> set[tuple[str, str]]:
    return {(finding.id, finding.where) for finding in report.findings}


def test_dangerous_lines_are_found_with_place_and_severity(c: Context, env: Environment, repo: Repo) -> None:
    files: Files = {
        "app/run.py": f"{CALL}\n",
        "bin/tool": f"#!/usr/bin/env python3\n{CALL}\n",
        "up": LOOP,
        "b.sh": "cd x\n",
    }
    report = scan(c, env, repo, files)
    assert report.outcome is Outcome.FINDINGS, report.reason
    assert {("B602", "app/run.py:3"), ("B602", "bin/tool:4"), ("SC2068", "up:2")} <= found(report)
    severities = {finding.id: finding.severity for finding in report.findings}
    assert (severities["B602"], severities["SC2068"], severities["SC2164"]) == (
        Severity.HIGH,
        Severity.HIGH,
        Severity.MEDIUM,
    )
    assert report.covered.files == ["app/run.py", "b.sh", "bin/tool", "up"]
    assert (report.covered.lines, report.covered.bytes) == (10, sum(len(text or "") for text in files.values()))
    assert report.canary.planted == report.canary.caught == ["python", "shell"]
    assert report.version.startswith("1.9.4, 0.") and "bandit --configfile" in report.command


def test_files_that_would_get_one_name_are_both_looked_at(c: Context, env: Environment, repo: Repo) -> None:
    script = f"#!/usr/bin/env python3\n{CALL}\n"
    report = scan(c, env, repo, {"bin/tool": script, "bin/tool.py": "1\n", "a.pyi": f"{CALL}\n", "a.py": "1\n"})
    assert {("B602", "bin/tool:4"), ("B602", "a.pyi:3")} <= found(report)
    assert len(report.covered.files) == 4


@pytest.mark.slow
def test_many_files_are_shared_out_and_all_looked_at(
    c: Context, env: Environment, repo: Repo, use: Callable[[str, str], None], programs: dict[str, object]
) -> None:
    files: Files = {f"m{number}.py": f"{CALL}\n" for number in range(2 * code_files.FILES_WORTH_A_PART)}
    assert len(found(scan(c, env, repo, files))) == len(files)
    # One part whose planted line is not seen is enough to say nothing.
    use("bandit", f'case "$*" in *python-0) set -- "$@" --skip=B602;; esac\nexec {programs["bandit"]} "$@"')
    report = scan(c, env, repo, files)
    assert report.outcome is Outcome.COULD_NOT_RUN and "planted positive (python)" in report.reason


def test_harmless_code_passes_and_the_working_tree_is_not_read(c: Context, env: Environment, repo: Repo) -> None:
    sha = repo.commit({"a.py": "print('hello')\n", "tests/test_a.py": "assert 1\n"})
    (repo.path / "a.py").write_text(CALL, encoding="utf-8")
    report = code_gate.check(c, env, sha, repo.path)
    assert (report.outcome, report.reason, report.findings) == (Outcome.PASS, "", [])


@pytest.mark.slow
def test_nothing_in_the_commit_switches_a_check_off(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".shellcheckrc").write_text("disable=SC2068\n", encoding="utf-8")
    options = scan(c, env, repo, {"a.sh": LOOP})
    assert ("SC2068", "a.sh:2") in found(options)
    monkeypatch.setenv("SHELLCHECK_OPTS", "--exclude=SC2068")
    off = "#!/bin/sh\n# shellcheck disable=SC2068\n" + LOOP.partition("\n")[2]
    files: Files = {
        ".bandit": "[bandit]\nskips: B602\nexclude: /\n",
        "pyproject.toml": "[tool.bandit]\nskips = ['B602']\n",
        ".shellcheckrc": "disable=SC2068\n",
        "a.py": f"{CALL}  # nosec\n",
        ".tox/b.py": f"{CALL}\n",
        "c.sh": off,
    }
    assert {("B602", "a.py:3"), ("B602", ".tox/b.py:3"), ("SC2068", "c.sh:3")} <= found(scan(c, env, repo, files))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"bad.py": "def (\n"}, "bandit cannot read bad.py: syntax error"),
        ({"bad.py": "x = '\0'\n"}, "bandit cannot read bad.py"),
        ({"bad.sh": "#!/bin/sh\nif true; then\n"}, "shellcheck cannot read bad.sh: line"),
        ({"bad.sh": "#!/bin/zsh\necho\n"}, "shellcheck cannot read bad.sh: line 1"),
        ({"README.md": "nothing\n"}, "no Python and no shell file"),
        ({"a.py": "", ".gitattributes": "a.py export-ignore\n"}, "export-ignore in .gitattributes keeps a.py"),
    ],
)  # fmt: skip
def test_what_was_not_looked_at_is_no_pass(c: Context, env: Environment, repo: Repo, files: Files, reason: str) -> None:
    report = scan(c, env, repo, {"sub/README": "x", **files})
    assert report.outcome is Outcome.COULD_NOT_RUN and reason in report.reason, report.reason
    assert report.findings == []


@pytest.mark.slow
def test_file_that_the_scanner_leaves_out_could_not_run(
    c: Context, env: Environment, repo: Repo, use: Callable[[str, str], None], programs: dict[str, object]
) -> None:
    use("bandit", f'exec {programs["bandit"]} "$@" --exclude commit/sub')
    report = scan(c, env, repo, {"a.py": "1\n", "sub/b.py": "2\n"})
    assert report.outcome is Outcome.COULD_NOT_RUN and "did not look at sub/b.py" in report.reason


def test_exit_code_that_contradicts_the_report_could_not_run(
    c: Context, env: Environment, repo: Repo, use: Callable[[str, str], None], programs: dict[str, object]
) -> None:
    use("bandit", f'{programs["bandit"]} "$@"\nexit 0')
    report = scan(c, env, repo, {"a.py": "1\n"})
    assert report.outcome is Outcome.COULD_NOT_RUN and "contradict each other" in report.reason


@pytest.mark.parametrize("scanner", ["bandit", "shellcheck"])
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -9 $$", "was killed (signal 9)"),
        ("exit 2", "exit code 2"),
        ("exit 0", "cannot be understood"),
        ('echo \'{"results": [], "errors": [], "metrics": {}, "comments": []}\'', ""),
    ],
)
def test_scanner_that_did_not_look_could_not_run(
    c: Context, env: Environment, repo: Repo, use: Callable[[str, str], None], scanner: str, script: str, reason: str
) -> None:
    use(scanner, script)
    report = scan(c, env, repo, {"a.py": "1\n", "b.sh": LOOP})
    expected = reason or ("did not look at a.py" if scanner == "bandit" else "planted positive (shell)")
    assert report.outcome is Outcome.COULD_NOT_RUN and expected in report.reason, report.reason


@pytest.mark.parametrize("off", ["bandit", "shellcheck"])
@pytest.mark.slow
def test_scanner_that_is_switched_off_could_not_run(
    c: Context, env: Environment, repo: Repo, use: Callable[[str, str], None], programs: dict[str, object], off: str
) -> None:
    switch = "--skip=B602" if off == "bandit" else "--exclude=SC2068"
    use(off, f'exec {programs[off]} {switch} "$@"')
    report = scan(c, env, repo, {"a.py": "1\n"})
    assert report.outcome is Outcome.COULD_NOT_RUN and "planted positive" in report.reason


@pytest.mark.slow
def test_this_repository_has_nothing_serious(c: Context, env: Environment) -> None:
    report = code_gate.check(c, env, git.resolve(c, "HEAD"), paths.ROOT)
    assert report.outcome is not Outcome.COULD_NOT_RUN, report.reason
    assert [finding.where for finding in report.findings if finding.severity in env.gates.severities] == []
    assert {"tasks/lib/gates/code_gate.py", "inv", ".ci/run"} <= set(report.covered.files)
