"""Secrets in the commits that were not scanned before, found by TruffleHog."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import commit_range, running, scan_repository, trufflehog_output, waivers
from tasks.lib.gates.models import Finding, Report
from tasks.lib.gates.scan_repository import ScanRepository
from tasks.lib.gates.trufflehog_output import Result
from tasks.lib.gates.waivers import Published
from tasks.lib.runner import MISSING, ending, redact, run
from tasks.lib.settings import Environment, Severity

GATE = "secrets"
SECONDS = 1800.0
CLEAN, FOUND = 0, 183
INLINE = "trufflehog" + ":ignore"  # in two parts, or this line would be one
# Unverified results are those that the service itself refused. Where it cannot be asked, a result is `unknown`.
FLAGS = ["--results=verified,unknown", "--fail", "--fail-on-scan-errors", "--json", "--no-update", "--no-color"]

# TruffleHog starts itself twice for a self-update that is switched off here; this leaves the first of the two out, and
# with it half of the CPU time of a short scan (0.75 of 1.6 s).
ONCE = "--local-dev"


def check(c: Context, env: Environment, sha: str, repo: Path = paths.ROOT) -> Report:
    """Runs TruffleHog over the range that this commit owes, a planted secret in it; keeps and returns the report."""

    def look(report: Report, scratch: Path) -> None:
        span = commit_range.choose(c, sha, repo)
        report.covered.base, report.covered.base_from = span.base, span.base_from
        scan = scan_repository.prepare(c, span, canary(), scratch / "range", repo)
        report.covered.commits = scan.commits
        program = tools.path(c, "trufflehog")
        with ThreadPoolExecutor(1) as beside:
            hidden = beside.submit(_inline, c, scan)
            results = _trufflehog(c, report, program, scan, scratch)
        report.canary.planted = ["unverifiable login"]
        for result in results:
            if result.place.commit == scan.canary:
                report.canary.caught = list(report.canary.planted)
            else:
                report.findings.append(result.finding(scan.origin[result.place.commit]))
        report.findings += hidden.result()
        # TruffleHog's workers report in any order; the same commit is to give the same report.
        report.findings.sort(key=lambda one: (one.file, one.line, one.id, one.commit))
        _leave_out_published(report, waivers.of_commit(c, sha, repo).published)

    return running.examine(GATE, sha, "trufflehog", look)


def _inline(c: Context, scan: ScanRepository) -> list[Finding]:
    """Lines of the range with the comment that makes TruffleHog skip a line: waivers that nobody reviewed."""
    found = [_hidden("commit message", sha) for sha, message in scan.messages.items() if INLINE in message]
    # Whether any object holds it is known in a fraction of the time that all differences take. Should the reading
    # fail, the differences decide.
    script = '{ git -C "$1" cat-file --batch --buffer <"$2" || echo "$3"; } | grep -q -a -F -e "$3"'
    anywhere: list[str | Path] = ["sh", "-c", script, "sh", scan.path, scan.objects, INLINE]
    if run(c, anywhere, step="look for inline waivers", timeout=SECONDS, ok=(0, 1), quiet=True).exited == 1:
        return found
    # Settings and attributes of the user, the machine or a hook would hide lines, or show them in another form.
    words: list[str | Path] = [*_own_git(scan.path), "git", "-C", scan.path, "log", "-p", "--text", "--no-textconv"]
    words += ["--unified=0", f"-G{INLINE}", "--format=commit %H"]
    words += [scan.head, *([f"^{scan.base}"] if scan.base else [])]
    commit = file = ""
    for text in run(c, words, step="look for inline waivers", timeout=SECONDS, quiet=True).stdout.splitlines():
        if text.startswith("commit "):
            commit = scan.origin.get(text.removeprefix("commit "), "")
        elif text.startswith("+++ b/"):
            file = text.removeprefix("+++ b/")
        elif text.startswith("+") and INLINE in text:
            found.append(_hidden(file, commit))
    return found


def _hidden(file: str, commit: str) -> Finding:
    title = "a comment hides a line from the secret scan; write a waiver in gitops/waivers.yaml instead"
    return Finding(id="inline-ignore", severity=Severity.HIGH, title=title, file=file, commit=commit)


def _leave_out_published(report: Report, published: Sequence[Published]) -> None:
    """Takes out values that others published as examples, and says so. One that its service accepts is no example."""
    known = {(one.id, one.file) for one in published}
    left_out = [
        finding
        for finding in report.findings
        if (finding.id, finding.file) in known and finding.severity is not Severity.CRITICAL
    ]
    report.findings = [finding for finding in report.findings if finding not in left_out]
    places = dict.fromkeys(f"{finding.id} in {finding.file}" for finding in left_out)
    if places:
        report.notes.append(f"published examples of {waivers.FILE} do not count: {', '.join(places)}")


def canary() -> str:
    """A login that no server confirms or refuses: `unknown` with a network and without. New in each run."""
    return f"postgres://slipway:{secrets.token_urlsafe(24)}@0.0.0.0:1/canary\n"


def _trufflehog(c: Context, report: Report, program: Path, scan: ScanRepository, scratch: Path) -> list[Result]:
    # The repository is our own, so its configuration can be trusted, and a second clone is saved.
    words: list[str | Path] = [program, "git", f"file://{scan.path}", f"--branch={scan.head}"]
    words += [f"--since-commit={scan.base}"] if scan.base else []
    words += ["--trust-local-git-config", *FLAGS, ONCE]
    report.command = running.shown(["trufflehog", *words[1:]], scratch)
    # Any exit code is taken here: the runner would show the last lines of stdout, which hold the secrets themselves.
    quick = running.FEWER_COLLECTIONS
    result = run(c, words, step="scan for secrets", timeout=SECONDS, ok=range(-64, 256), cwd=scratch, env=quick)
    if result.exited not in (CLEAN, FOUND):
        why = "was not found" if result.exited == MISSING else ending(result.exited)
        last = redact((result.stderr.strip().splitlines() or [""])[-1])[:300]
        raise Stop(f"secrets: trufflehog {why} {last}".strip(), Code.COULD_NOT_RUN, "./inv doctor")
    end = _end(result.stderr)
    report.covered.chunks, report.covered.bytes = int(end["chunks"]), int(end["bytes"])
    report.version = str(end.get("trufflehog_version", "unknown"))
    # Every commit is at least one chunk, its message; with no base, commits that only delete are left out.
    if scan.base and report.covered.chunks < scan.commits:
        seen = f"{report.covered.chunks} chunks of {scan.commits} commits"
        raise Stop(f"secrets: TruffleHog looked at {seen} only", Code.COULD_NOT_RUN)
    results = [Result.model_validate(one) for one in trufflehog_output.objects(result.stdout)]
    if bool(results) != (result.exited == FOUND):
        raise Stop("secrets: TruffleHog's exit code and results contradict each other", Code.COULD_NOT_RUN)
    return results


def _own_git(home: Path) -> list[str | Path]:
    """The start of a command line whose Git knows no settings but the repository's."""
    given = sorted(name for name in os.environ if name.startswith("GIT_"))
    own = ["GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1"]
    return ["env", *(word for name in given for word in ("-u", name)), *own, f"HOME={home}", f"XDG_CONFIG_HOME={home}"]


def _end(log: str) -> dict[str, Any]:
    """The last entry of TruffleHog's log: what it looked at. Raises Stop (4) when errors are in the log."""
    entries = list(trufflehog_output.objects(log))
    failed = [entry for entry in entries if entry.get("level") in ("error", "fatal")]
    end = next((entry for entry in reversed(entries) if entry.get("msg") == "finished scanning"), None)
    if failed or end is None:
        cause = failed[0].get("error") or failed[0].get("msg") if failed else "it did not say that it finished"
        raise Stop(f"secrets: TruffleHog failed: {redact(str(cause))[:200]}", Code.COULD_NOT_RUN)
    return dict(end)
