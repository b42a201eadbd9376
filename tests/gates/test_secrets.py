"""Planted secrets are found wherever the range holds them, and a scan that did not look is no pass."""

from __future__ import annotations

import random
import secrets
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import paths, tools
from tasks.lib.gates import gitlab, secrets_gate, store
from tasks.lib.gates.models import Outcome, Report
from tasks.lib.settings import Environment, Severity
from tests.gates.conftest import Repo

Use = Callable[[str, str], None]
pytestmark = pytest.mark.usefixtures("programs")


def login() -> str:
    """A secret that no server can refuse; made here, so that no file of this repository holds one."""
    return f"postgres://admin:{secrets.token_urlsafe(18)}@db.invalid:5432/orders"


def key_pair() -> str:
    """What looks like a key of a cloud account. It is none: whoever asks the account's service gets no answer here."""
    name = "".join(random.choices(string.ascii_uppercase + "234567", k=16))
    value = "".join(random.choices(string.ascii_letters + string.digits + "/+", k=40))
    return f"aws_access_key_id = AKIA{name}\naws_secret_access_key = {value}\n"


def scan(c: Context, env: Environment, repo: Repo, sha: str = "") -> Report:
    return secrets_gate.check(c, env, sha or repo.git("rev-parse", "HEAD"), repo.path)


@pytest.mark.slow
def test_clean_history_passes_and_says_what_was_covered(c: Context, env: Environment, repo: Repo) -> None:
    repo.commit({"a.txt": "one\n"})
    repo.commit({"a.txt": None})
    report = scan(c, env, repo)
    assert (report.outcome, report.reason) == (Outcome.PASS, "")
    assert report.covered.commits == 2 and report.covered.bytes > 0 and report.covered.base_from == "all history"
    assert report.canary.planted == report.canary.caught != []
    assert report.version == "3.97.0"


@pytest.mark.parametrize("make", [login, key_pair])
@pytest.mark.slow
def test_planted_secret_is_found_and_its_value_is_kept_nowhere(
    c: Context, env: Environment, repo: Repo, make: Callable[[], str], capfd: pytest.CaptureFixture[str]
) -> None:
    text = make()
    sha = repo.commit({"app/settings.ini": f"# settings\n{text}\n"})
    report = scan(c, env, repo)
    assert report.outcome is Outcome.FINDINGS
    assert {finding.severity for finding in report.findings} == {Severity.HIGH}
    assert report.findings[0].file == "app/settings.ini" and report.findings[0].commit == sha
    value = text.split(" = ")[-1].strip() if " = " in text else text.split(":")[2].partition("@")[0]
    gitlab.write(report)
    printed = "".join(capfd.readouterr())
    kept = "".join(path.read_text() for path in paths.work().rglob("*") if path.is_file())
    assert value not in printed + kept


@pytest.mark.slow
def test_secret_that_was_deleted_again_is_found(c: Context, env: Environment, repo: Repo) -> None:
    planted = repo.commit({"key": login()})
    repo.commit({"key": None})
    assert [finding.commit for finding in scan(c, env, repo).findings] == [planted]


@pytest.mark.slow
def test_secret_in_a_commit_message_is_found(c: Context, env: Environment, repo: Repo) -> None:
    repo.commit({"a": "1"}, message=f"use {login()}")
    assert [finding.file for finding in scan(c, env, repo).findings] == ["commit message"]


@pytest.mark.slow
def test_secret_in_a_merged_branch_that_is_older_than_the_base_is_found(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = repo.commit({"a": "1"})
    repo.git("checkout", "--quiet", "-b", "side")
    planted = repo.commit({"key": login()})
    repo.git("checkout", "--quiet", "main")
    base = repo.commit({"b": "2"})  # newer than the branch
    repo.clock += 60
    repo.git("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    monkeypatch.setenv("CI_COMMIT_BEFORE_SHA", base)
    report = scan(c, env, repo)
    assert [finding.commit for finding in report.findings] == [planted]
    assert report.covered.base == base and report.covered.commits == 2 and start


@pytest.mark.slow
def test_secret_that_only_the_merge_commit_adds_is_found(c: Context, env: Environment, repo: Repo) -> None:
    repo.commit({"a": "1\n"})
    repo.git("checkout", "--quiet", "-b", "side")
    repo.commit({"b": "2\n"})
    repo.git("checkout", "--quiet", "main")
    repo.commit({"c": "3\n"})
    repo.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
    merge = repo.commit({"evil": login()}, message="merge")
    assert [finding.commit for finding in scan(c, env, repo).findings] == [merge]


@pytest.mark.slow
def test_secret_that_is_added_while_a_file_is_renamed_is_found(c: Context, env: Environment, repo: Repo) -> None:
    lines = "".join(f"line {number}\n" for number in range(200))
    repo.commit({"old.txt": lines})
    renamed = repo.commit({"old.txt": None, "new.txt": f"{lines}{login()}\n"})
    assert [finding.commit for finding in scan(c, env, repo).findings] == [renamed]


@pytest.mark.slow
def test_only_what_was_not_scanned_before_is_scanned(c: Context, env: Environment, repo: Repo) -> None:
    scanned = repo.commit({"a": "1"})
    assert scan(c, env, repo).outcome is Outcome.PASS
    repo.commit({"b": "2"})
    report = scan(c, env, repo)
    assert (report.covered.base, report.covered.base_from) == (scanned, "last scanned commit")
    assert report.covered.commits == 1


@pytest.mark.slow
def test_a_scan_with_findings_is_no_base_for_the_next(c: Context, env: Environment, repo: Repo) -> None:
    repo.commit({"a": login()})
    assert scan(c, env, repo).outcome is Outcome.FINDINGS
    repo.commit({"b": "2"})
    assert scan(c, env, repo).covered.base == ""


@pytest.mark.slow
def test_branch_is_scanned_from_where_it_left_the_default_branch(c: Context, env: Environment, repo: Repo) -> None:
    fork = repo.commit({"a": login()})
    repo.git("checkout", "--quiet", "-b", "feature")
    repo.commit({"b": "2"})
    report = scan(c, env, repo)
    assert (report.covered.base, report.covered.base_from, report.outcome) == (fork, "branch main", Outcome.PASS)


@pytest.mark.slow
def test_merge_request_base_counts_first(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = repo.commit({"a": "1"})
    planted = repo.commit({"b": login()})
    repo.commit({"c": "3"})
    monkeypatch.setenv("CI_MERGE_REQUEST_DIFF_BASE_SHA", base)
    monkeypatch.setenv("CI_COMMIT_BEFORE_SHA", planted)
    report = scan(c, env, repo)
    assert report.covered.base_from == "merge request" and [one.commit for one in report.findings] == [planted]


@pytest.mark.slow
@pytest.mark.parametrize("before", ["0" * 40, "1" * 40])
def test_zeros_and_unknown_commits_as_base_mean_all_history(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    planted = repo.commit({"a": login()})
    repo.commit({"b": "2"})
    monkeypatch.setenv("CI_COMMIT_BEFORE_SHA", before)
    report = scan(c, env, repo)
    assert report.covered.base == "" and [finding.commit for finding in report.findings] == [planted]


def test_unknown_merge_request_base_could_not_run(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit({"a": "1"})
    monkeypatch.setenv("CI_MERGE_REQUEST_DIFF_BASE_SHA", "1" * 40)
    report = scan(c, env, repo)
    assert report.outcome is Outcome.COULD_NOT_RUN and "not in this clone" in report.reason


def test_shallow_clone_could_not_run(c: Context, env: Environment, repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": login()})
    sha = repo.commit({"b": "2"})
    clone = tmp_path / "clone"
    repo.git("clone", "--quiet", "--depth=1", f"file://{repo.path}", str(clone))
    report = secrets_gate.check(c, env, sha, clone)
    assert report.outcome is Outcome.COULD_NOT_RUN and "shallow" in report.reason


def test_missing_objects_could_not_run(c: Context, env: Environment, repo: Repo, tmp_path: Path) -> None:
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.commit({"a": login()})
    sha = repo.commit({"a": None})
    clone = tmp_path / "clone"
    repo.git("clone", "--quiet", "--filter=blob:none", f"file://{repo.path}", str(clone))
    repo.path.rename(tmp_path / "gone")
    report = secrets_gate.check(c, env, sha, clone)
    assert report.outcome is Outcome.COULD_NOT_RUN and "partial" in report.reason


def test_missing_repository_could_not_run(c: Context, env: Environment, tmp_path: Path) -> None:
    report = secrets_gate.check(c, env, "1" * 40, tmp_path / "nothing")
    assert report.outcome is Outcome.COULD_NOT_RUN


ENDED = '{"level":"info-0","msg":"finished scanning","chunks":9,"bytes":9}'


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -9 $$", "was killed"),
        ("exit 0", "did not say that it finished"),
        (f"echo '{ENDED}' >&2", "planted positive"),
        (f"echo '{ENDED}' >&2; exit 183", "contradict"),
        ('echo \'{"level":"error","msg":"error scanning repository"}\' >&2', "error scanning repository"),
        (f"echo '{ENDED}' >&2; echo '{{broken'; exit 183", "cannot be understood"),
    ],
)
def test_scanner_that_did_not_look_could_not_run(
    c: Context, env: Environment, repo: Repo, use: Use, script: str, reason: str
) -> None:
    repo.commit({"a": login()})
    use("trufflehog", f'[ "$1" = --version ] && {{ echo trufflehog 3.97.0; exit 0; }}\n{script}')
    report = scan(c, env, repo)
    assert report.outcome is Outcome.COULD_NOT_RUN and reason in report.reason, report.reason
    assert report.findings == []


def test_fewer_chunks_than_commits_could_not_run(
    c: Context, env: Environment, repo: Repo, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_COMMIT_BEFORE_SHA", repo.commit({"a": "1"}))
    for number in range(3):
        repo.commit({"b": str(number)})
    use("trufflehog", """echo '{"level":"info-0","msg":"finished scanning","chunks":2,"bytes":9}' >&2""")
    report = scan(c, env, repo)
    assert report.outcome is Outcome.COULD_NOT_RUN and "2 chunks of 3 commits" in report.reason


def test_a_scanner_that_dies_does_not_spill_what_it_found(
    c: Context, env: Environment, repo: Repo, use: Use, capfd: pytest.CaptureFixture[str]
) -> None:
    value = secrets.token_urlsafe(18)
    sha = repo.commit({"a": "1"})
    use("trufflehog", f'echo \'{{"Raw": "{value}"}}\'; kill -9 $$')
    assert scan(c, env, repo).outcome is Outcome.COULD_NOT_RUN
    assert value not in (store.folder(sha) / "secrets.json").read_text() + "".join(capfd.readouterr())


def test_missing_scanner_could_not_run(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repo.commit({"a": "1"})
    monkeypatch.setattr(tools, "path", lambda _c, _name: tmp_path / "not-there")
    report = scan(c, env, repo)
    assert report.outcome is Outcome.COULD_NOT_RUN and "not found" in report.reason


@pytest.mark.slow
def test_a_dying_run_does_not_leave_an_older_pass(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = repo.commit({"a": "1"})
    assert scan(c, env, repo).outcome is Outcome.PASS

    def interrupted(*_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(tools, "path", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scan(c, env, repo)
    assert not (store.folder(sha) / "secrets.json").exists()


@pytest.mark.slow
def test_comment_that_hides_a_line_is_found_where_it_is_added(c: Context, env: Environment, repo: Repo) -> None:
    line = login().strip()
    hidden = repo.commit({"a": f"{line} # {'trufflehog'}:ignore\n"})
    assert [(one.id, one.file, one.commit) for one in scan(c, env, repo).findings] == [("inline-ignore", "a", hidden)]
    repo.commit({"a": "nothing\n"})
    assert len(scan(c, env, repo).findings) == 1


@pytest.mark.slow
def test_published_example_values_do_not_count_and_are_named(c: Context, env: Environment, repo: Repo) -> None:
    text = login()
    repo.commit({"doc.md": text, "other.md": "x"})
    (finding,) = scan(c, env, repo).findings
    entry = f"published:\n- {{id: '{finding.id}', file: doc.md, reason: an example, approver: somebody}}\n"
    repo.commit({"gitops/waivers.yaml": entry})
    report = scan(c, env, repo)
    assert report.outcome is Outcome.PASS and f"{finding.id} in doc.md" in report.notes[0]
    repo.commit({"other.md": text})  # the same value elsewhere is a leak
    assert scan(c, env, repo).outcome is Outcome.FINDINGS
