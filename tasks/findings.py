"""What one does with findings: accept one for a while, list what is accepted, convert other people's reports."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(
    help={
        "id": "id of the finding as the verdict names it, or an alias (default: asked for)",
        "package": "package, package URL, object or file, where the id is found in several (default: the one it is in)",
        "applies": "gates and environments that it is limited to, by comma, or all (default: asked for)",
        "owner": "who gets rid of it (default: asked for)",
        "approver": "who agreed (default: asked for)",
        "reason": "why it does no harm meanwhile (default: asked for)",
        "ticket": "where the work is followed (default: none)",
        "expires": "last day, as 2026-12-24, or days from now; at most 90, 30 if critical (default: asked for)",
        "release": "commit in whose reports the finding is (default: HEAD)",
        "yes": words.YES,
    },
    auto_shortflags=False,
)
def waive(
    c: Context,
    id: str = "",
    package: str = "",
    applies: str = "",
    owner: str = "",
    approver: str = "",
    reason: str = "",
    ticket: str = "",
    expires: str = "",
    release: str = "",
    yes: bool = False,
) -> None:
    """Accept a finding for a while: write a waiver.

    It counts from the commit on that holds it. Without a terminal every option but --package and --ticket is needed.

    Usage: ./inv scan.waive --id CVE-2024-22195
    """
    from tasks.lib import git, terminal
    from tasks.lib.gates import waivers, waiving

    sha = git.resolve(c, release or "HEAD")
    wish = waiving.Wish(id, package, applies, owner, approver, reason, ticket, expires)
    made = waiving.waive(c, sha, wish, yes)
    terminal.good(f"{made.id} in {made.subject} is accepted until {made.expires}, once {waivers.FILE} is committed")
    terminal.say(f"  next: git commit {waivers.FILE}, then ./inv scan")


@task(
    help={
        "release": "commit whose waivers to list (default: the file of the checkout, committed or not)",
        "json": "print one JSON list (default: a table)",
        "write": "also make the scanners' own ignore files in .slipway/ignore, for raw tools used by hand",
    },
    auto_shortflags=False,
)
def waivers(c: Context, release: str = "", json: bool = False, write: bool = False) -> None:
    """List the waivers with the days that are left.

    Exit 3: one does not hold: expired, too long, for an unknown place.
    """
    from tasks.lib import git
    from tasks.lib.gates import waiver_list
    from tasks.lib.gates import waivers as file

    found = file.of_commit(c, git.resolve(c, release)) if release else file.load()
    rows = waiver_list.rows(found.waivers)
    waiver_list.show(rows, as_json=json)
    if write:
        waiver_list.write(found.waivers)
    waiver_list.conclude(rows)


@task(
    help={
        "from": "scanner that wrote the file: trivy, trufflehog or safety",
        "file": "its JSON output",
        "to": "gitlab, sarif or json (default: gitlab)",
        "kind": "which of several kinds of findings, as GitLab calls it (default: the only one)",
        "out": "file to write (default: standard output)",
    },
    auto_shortflags=False,
)
def convert(c: Context, from_: str = "", file: str = "", to: str = "gitlab", kind: str = "", out: str = "") -> None:
    """Convert another scan's output for GitLab or as SARIF.

    It is for scans that Slipway did not run: nothing was planted in them, so scan.gate takes none of them for a gate's.
    A scan that did not look becomes a report that says so.

    Usage: ./inv scan.convert --from trivy --file trivy.json --to sarif
    """
    from pathlib import Path

    from tasks.lib import terminal
    from tasks.lib.errors import Code, Stop
    from tasks.lib.gates import converters, store

    if not from_ or not file:
        raise Stop("scan.convert: --from and --file are needed", Code.USAGE, "./inv scan.convert --help")
    reports = converters.read(from_, Path(file))
    text = converters.write(reports, to, kind)
    if not out:
        terminal.raw(text)
        return
    store.write_text(Path(out).resolve(), text + "\n")
    for report in reports:
        for note in filter(None, (report.reason, *report.notes)):
            terminal.warn(f"{report.gate}: {note}")
    terminal.good(f"wrote {out}: {sum(len(report.findings) for report in reports)} findings")
