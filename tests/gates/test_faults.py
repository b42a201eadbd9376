"""Ways in which a scanner does not look, made with the real one: each ends as could_not_run and names its cause.

| fault                                          | test                                                                |
|------------------------------------------------|---------------------------------------------------------------------|
| scanner missing, killed, too slow, cut short   | test_scanner_that_... (here, all gates)                             |
| disc full while scanning, while reporting      | test_full_disc_... (here, all gates)                                |
| scanner blind: other switches than ours        | test_scanner_that_sees_nothing (here), test_code, test_config       |
| secrets: verifier not reachable                | test_secret_that_its_service_cannot_be_asked_about_blocks           |
| secrets: base of zeros, unknown, shallow       | test_secrets: test_zeros_..., test_unknown_..., test_shallow_...    |
| secrets: no repository, commit, objects        | test_no_repository_and_no_commit; test_secrets: test_missing_...    |
| secrets: replaced objects, grafts              | test_what_this_machine_puts_in_a_commits_place_does_not_count       |
| secrets: attributes or a hook's Git variables  | test_git_settings_..., test_scan_out_of_a_git_hook_...              |
| secrets: messages that look like other commits | test_commit_message_that_imitates_commits_hides_nothing             |
| secrets: a comment that hides a line           | test_comment_in_a_message_...; test_secrets: test_comment_...       |
| deps: unpinned, no file, no package            | test_deps: test_unpinned_..., test_missing_and_empty_...            |
| deps: a requirement that Safety leaves out     | test_requirement_that_cannot_be_looked_up                           |
| deps: a requirements file that nobody listed   | test_deps: test_every_requirements_file_of_the_commit_is_read       |
| deps, image: database empty, damaged, other    | test_deps, test_image: test_damaged_database_...                    |
| deps, image: database stale, or a snapshot     | test_policy, test_verdict                                           |
| image: no packages, or none that is covered    | test_image: test_image_without_packages_...                         |
| image: no archive, a broken one                | test_image: test_missing_and_broken_archives_...                    |
| config: files that Trivy leaves out            | test_config: test_terraform_that_cannot_be_read_...                 |
| config: kubeconform leaves out, finds nothing  | test_config: test_kubeconform_that_...                              |
| code: files that cannot be parsed, left out    | test_code: test_what_was_not_looked_at_..., test_file_that_...      |
| a report that is missing, damaged, another's   | test_verdict                                                        |
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import (
    archive,
    code_gate,
    config_gate,
    deps_gate,
    image_gate,
    scan_repository,
    secrets_gate,
    store,
    trivy,
)
from tasks.lib.gates.commit_range import Range
from tasks.lib.gates.models import Outcome, Report
from tasks.lib.settings import Environment, Severity
from tests.gates.conftest import Repo
from tests.gates.test_secrets import key_pair, login

Check = Callable[[], Report]
Use = Callable[[str, str], None]
pytestmark = pytest.mark.usefixtures("programs")

SCANNERS = [
    ("secrets", "trufflehog"),
    ("deps", "safety"),
    ("config", "trivy"),
    ("code", "bandit"),
    ("code", "shellcheck"),
    ("image", "trivy"),
]
each_scanner = pytest.mark.parametrize(("gate", "scanner"), SCANNERS, ids=["-".join(both) for both in SCANNERS])
each_gate = pytest.mark.parametrize("gate", ["secrets", "deps", "config", "code", "image"])
MODULES = {"secrets": secrets_gate, "deps": deps_gate, "config": trivy, "code": code_gate, "image": trivy}


@pytest.fixture
def check(c: Context, env: Environment, repo: Repo, tmp_path: Path, gate: str) -> Check:
    """The gate over something that it would have to report."""
    shutil.copytree(paths.ROOT / "k8s/helm", repo.path / "k8s/helm")
    files: dict[str, str | None] = {"service/Dockerfile": "FROM debian:12\nUSER root\n", "key": login()}
    files |= {"gitops/environments/local/values.yaml": "values: {}\n", "up.sh": "#!/bin/sh\necho $@\n"}
    files |= {"run.py": "eval(input())\n", "requirements.txt": "urllib3==1.24.1\n"}
    sha = repo.commit({**files, "service/requirements.txt": "six==1.17.0\n"})
    image = tmp_path / "image.tar"
    archive.write(image, archive.python_package("urllib3", "1.24.1"))
    if gate == "image":
        return lambda: image_gate.check(c, env, sha, image)
    module = {"secrets": secrets_gate, "deps": deps_gate, "config": config_gate, "code": code_gate}[gate]
    return lambda: module.check(c, env, sha, repo.path)  # type: ignore[attr-defined,no-any-return]


def could_not_run(report: Report, *causes: str) -> None:
    assert report.outcome is Outcome.COULD_NOT_RUN and report.findings == []
    assert any(cause in report.reason for cause in causes), report.reason


@pytest.mark.slow
@each_gate
def test_without_a_fault_each_gate_finds_something(check: Check) -> None:
    report = check()
    assert report.outcome is Outcome.FINDINGS, report.reason


@each_scanner
@pytest.mark.slow
def test_scanner_that_is_missing(check: Check, scanner: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = tools.path
    monkeypatch.setattr(tools, "path", lambda c, name: tmp_path / scanner if name == scanner else known(c, name))
    could_not_run(check(), "not found", "No such file")


@each_scanner
@pytest.mark.slow
def test_scanner_that_is_killed_in_the_middle(check: Check, scanner: str, use: Use, programs: dict[str, Path]) -> None:
    # On a busy machine one that is killed late may have ended: then again, and sooner.
    use(
        scanner,
        f"""[ "$1" = --version ] && exec {programs[scanner]} "$@"
        for pause in 0.2 0.05 0.01 0; do
            {programs[scanner]} "$@" & sleep $pause
            kill -9 $!; wait $!
            code=$?
            [ $code -ne 137 ] || exit $code
        done""",
    )
    could_not_run(check(), "was killed (signal 9)")


@each_scanner
@pytest.mark.slow
def test_scanner_that_is_too_slow(
    check: Check,
    gate: str,
    scanner: str,
    use: Use,
    programs: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MODULES[gate], "SECONDS", 0.02)
    use(scanner, f'[ "$1" = --version ] || sleep 20\nexec {programs[scanner]} "$@"')
    could_not_run(check(), "within 0.02 s")


@pytest.mark.slow
@each_scanner
def test_scanner_whose_output_is_cut_short(check: Check, scanner: str, use: Use, programs: dict[str, Path]) -> None:
    real = f'{programs[scanner]} "$@"'
    if scanner == "trivy":  # writes a file, which is named last
        use(scanner, f'{real} || exit\nfor last; do :; done\ntruncate --size=200 "$last"')
    else:
        use(scanner, f'{real} >"$0.out"\ncode=$?\nhead --bytes=60 "$0.out"\nexit $code')
    could_not_run(check(), "cannot be understood")


BLIND = {
    "trufflehog": '"$@" --exclude-detectors=all',
    "trivy": '"$@" --severity=LOW',
    "bandit": '"$@" --skip=B602',
    "shellcheck": '--exclude=SC2068 "$@"',
}


@pytest.mark.slow
@each_scanner
def test_scanner_that_sees_nothing(check: Check, scanner: str, use: Use, programs: dict[str, Path]) -> None:
    if scanner == "safety":
        pytest.skip("has no such switch; test_deps takes the entries out of its database")
    use(scanner, f"exec {programs[scanner]} {BLIND[scanner]}")
    could_not_run(check(), "planted positive")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system of two pages, both taken."""
    place = tmp_path / "full"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, timeout=20).returncode:
        pytest.skip("needs to mount a file system")
    try:
        (place / "taken").write_bytes(bytes(8192))
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=20)


@each_gate
def test_full_disc_under_the_scan(check: Check, full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(full))
    could_not_run(check(), "o space left on device")


@pytest.mark.parametrize("gate", ["code"])
def test_full_disc_under_the_report(
    check: Check, gate: str, full: Path, monkeypatch: pytest.MonkeyPatch, repo: Repo
) -> None:
    sha = repo.git("rev-parse", "HEAD")
    monkeypatch.setattr(paths, "work", lambda: full)
    with pytest.raises(Stop, match=rf"write {gate}\.json: No space left") as stopped:
        check()
    assert stopped.value.code == Code.COULD_NOT_RUN
    assert not (store.folder(sha) / f"{gate}.json").exists()
    assert not list(full.rglob(f".{gate}.json*"))  # nor half of it


@pytest.mark.parametrize("gate", ["code"])
def test_report_that_becomes_too_large(check: Check, gate: str) -> None:
    """The same where nobody may mount: a limit of the size of files."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    report = check()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        with pytest.raises(Stop, match=r"write code\.json: File too large"):
            store.write(report)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.read(report.commit, gate) == report  # the one before it is whole


@pytest.mark.slow
def test_secret_that_its_service_cannot_be_asked_about_blocks(c: Context, env: Environment, repo: Repo) -> None:
    report = secrets_gate.check(c, env, repo.commit({"a": key_pair()}), repo.path)  # the proxy of conftest is not there
    (finding,) = report.findings
    assert (report.outcome, finding.severity) == (Outcome.FINDINGS, Severity.HIGH)
    assert "could not be checked with its service" in finding.title


@pytest.mark.slow
def test_only_verified_secrets_would_hide_those_that_cannot_be_asked_about(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [flag.replace("verified,unknown", "verified") for flag in secrets_gate.FLAGS]
    monkeypatch.setattr(secrets_gate, "FLAGS", flags)
    could_not_run(secrets_gate.check(c, env, repo.commit({"a": key_pair()}), repo.path), "planted positive")


def test_no_repository_and_no_commit(c: Context, env: Environment, repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    could_not_run(secrets_gate.check(c, env, "1" * 40, tmp_path / "nothing"), "no Git repository in nothing")
    could_not_run(secrets_gate.check(c, env, "1" * 40, repo.path), "commit 111111111111 is not in this clone")


@pytest.mark.slow
def test_what_this_machine_puts_in_a_commits_place_does_not_count(c: Context, env: Environment, repo: Repo) -> None:
    first = repo.commit({"a": "1"})
    planted = repo.commit({"key": login()})
    last = repo.commit({"key": None})
    clean = repo.git("commit-tree", "-p", first, "-m", "clean", f"{first}^{{tree}}")
    repo.git("replace", planted, clean)
    report = secrets_gate.check(c, env, last, repo.path)
    assert [one.commit for one in report.findings] == [planted]
    repo.git("replace", "--delete", planted)
    (repo.path / ".git/info/grafts").write_text(f"{last} {first}\n", encoding="utf-8")
    report = secrets_gate.check(c, env, last, repo.path)
    assert [one.commit for one in report.findings] == [planted]


@pytest.fixture
def git_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a user that show differences in other forms, or not at all."""
    (tmp_path / "git").mkdir()
    (tmp_path / "git/attributes").write_text("*.env diff=hidden\n*.bin -diff\n", encoding="utf-8")
    settings = '[diff "hidden"]\n\ttextconv = true\n[diff]\n\tnoprefix = true\n[color]\n\tui = always\n'
    (tmp_path / "git/config").write_text(settings, encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.usefixtures("git_of_a_user")
@pytest.mark.slow
def test_git_settings_and_attributes_hide_nothing(c: Context, env: Environment, repo: Repo) -> None:
    hidden = f"{login().strip()} # {secrets_gate.INLINE}\n"
    sha = repo.commit({"key.env": login(), "key.bin": login(), "key.ini": login()})
    repo.commit({"hidden.env": hidden, "hidden.bin": hidden, "hidden.ini": hidden})
    report = secrets_gate.check(c, env, repo.git("rev-parse", "HEAD"), repo.path)
    found = sorted((one.file, one.id == "inline-ignore") for one in report.findings)
    kinds = ("bin", "env", "ini")
    assert found == [*((f"hidden.{kind}", True) for kind in kinds), *((f"key.{kind}", False) for kind in kinds)], sha


@pytest.mark.slow
def test_scan_out_of_a_git_hook_reads_the_range(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = repo.commit({"key.env": login()})
    monkeypatch.setenv("GIT_DIR", str(repo.path / ".git"))
    report = secrets_gate.check(c, env, sha, repo.path)
    assert [one.file for one in report.findings] == ["key.env"], report.reason


@pytest.mark.slow
def test_commit_message_that_imitates_commits_hides_nothing(c: Context, env: Environment, repo: Repo) -> None:
    planted = repo.commit({"key": login()})
    tree = repo.git("rev-parse", f"{repo.commit({'key': None})}^{{tree}}")
    fields = "\x1f".join([planted, tree, "", "1700000000", "a <a@b>", "a <a@b>", "clean"])
    repo.commit({"b": "1"}, message=f"imitation\x1e\n{fields}\x1e")
    report = secrets_gate.check(c, env, repo.git("rev-parse", "HEAD"), repo.path)
    assert [one.commit for one in report.findings] == [planted], report.reason


@pytest.mark.slow
def test_comment_in_a_message_that_hides_its_line_is_found(c: Context, env: Environment, repo: Repo) -> None:
    sha = repo.commit({"a": "1"}, message=f"use {login().strip()} # {secrets_gate.INLINE}")
    found = {(one.id, one.file, one.commit) for one in secrets_gate.check(c, env, sha, repo.path).findings}
    assert ("inline-ignore", "commit message", sha) in found


def test_comment_that_hides_a_line_is_found_where_objects_cannot_be_listed(
    c: Context, repo: Repo, tmp_path: Path
) -> None:
    sha = repo.commit({"a": f"{login().strip()} # {secrets_gate.INLINE}\n"})
    scan = scan_repository.prepare(c, Range(sha, "", ""), secrets_gate.canary(), tmp_path / "scan", repo.path)
    # Git 2.43 and 2.44 take attributes from the commit in a bare repository, too.
    store.write_text(scan.path / "info/attributes", "* -diff\n")
    (one,) = secrets_gate._inline(c, replace(scan, objects=tmp_path / "gone"))
    assert (one.id, one.commit) == ("inline-ignore", sha)


@pytest.mark.slow
def test_requirement_that_cannot_be_looked_up(c: Context, env: Environment, repo: Repo) -> None:
    sha = repo.commit({"requirements.txt": "six===weird\n", "service/requirements.txt": "six==1.17.0\n"})
    could_not_run(deps_gate.check(c, env, sha, repo.path), "did not look at six==weird", "exit code 71")
