"""Writing a waiver: of a finding that a report has, after asking for what is missing, and only if the rules take it."""

from __future__ import annotations

import io
import shlex
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from invoke.context import Context
from pydantic import ValidationError

from tasks.lib import git, paths, settings, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import store, summary, waiver_rules, waivers
from tasks.lib.gates.models import GATES, Blocked, Finding
from tasks.lib.gates.waivers import Waiver

HELP = "./inv scan.waive --help"
DAYS = 30  # suggested on a terminal; the most for a critical finding
OPTIONAL = ("package", "ticket")


@dataclass(frozen=True)
class Wish:
    """What somebody asks for, as typed; '' is not said."""

    id: str = ""
    package: str = ""
    applies: str = ""
    owner: str = ""
    approver: str = ""
    reason: str = ""
    ticket: str = ""
    expires: str = ""


def waive(c: Context, sha: str, wish: Wish, yes: bool = False, repo: Path | None = None) -> Waiver:
    """Writes a waiver of a finding of this commit into the checkout's file, after asking; returns it.

    Raises Stop 2 when the rules refuse it or something is missing where nobody can be asked, 3 when the file does not
    hold as it is, 4 when the commit was not scanned, 5 when the person does not agree. Then nothing is written.
    """
    repo = repo or paths.ROOT
    found = _findings(sha)
    if terminal.is_terminal():
        wish = _ask(c, wish, found)
    elif missing := [
        f"--{one.name}" for one in fields(wish) if not getattr(wish, one.name) and one.name not in OPTIONAL
    ]:
        raise Stop(f"scan.waive: there is no terminal to ask for {', '.join(missing)}", Code.USAGE, HELP)
    matching = _matching(found, wish)
    waiver = _entry(wish, matching)
    path = repo / waivers.FILE
    text = _added(path, waiver)
    _refuse(waiver, matching, waivers.load(path).waivers)
    waivers.parse(text)
    terminal.table(f"Waiver of {waiver.id}", ("key", "value"), waiver.model_dump(exclude_none=True).items())
    terminal.confirm(f"Write it to {waivers.FILE}?", yes)
    store.write_text(path, text)
    return waiver


def _findings(sha: str) -> list[tuple[str, Finding]]:
    """Every finding of the commit, with its gate. Raises Stop (4) when the commit has no report."""
    found, reports = [], 0
    for gate in GATES:
        try:
            report = store.read(sha, gate)
        except Stop:
            continue
        reports += 1
        found += [(gate, one) for one in report.findings]
    if not reports:
        raise Stop(f"commit {sha[:8]} has no report, so there is nothing to waive", Code.COULD_NOT_RUN, "./inv scan")
    return found


def _matching(found: list[tuple[str, Finding]], wish: Wish) -> list[tuple[str, Finding]]:
    """The findings that the wish names. Raises Stop (2) when it names none, or packages of several names."""
    same = [(gate, one) for gate, one in found if wish.id in (one.id, *one.aliases)]
    if not same:
        known = ", ".join(sorted({one.id for _, one in found})) or "nothing"
        raise Stop(f"scan.waive: no report of this commit has {wish.id}; found: {known}", Code.USAGE, "./inv scan.gate")
    subjects = sorted({waivers.subject(one) for _, one in same})
    if not wish.package and len(subjects) > 1:
        said = f"scan.waive: {wish.id} is in {', '.join(subjects)}; name one with --package"
        raise Stop(said, Code.USAGE, _again(wish, subjects[0]))
    named = wish.package or subjects[0]
    chosen = [(gate, one) for gate, one in same if _names(named, one)]
    if not chosen:
        said = f"scan.waive: {wish.id} is not in {named} but in {', '.join(subjects)}"
        raise Stop(said, Code.USAGE, _again(wish, subjects[0]))
    return chosen


def _again(wish: Wish, package: str) -> str:
    return shlex.join(["./inv", "scan.waive", "--id", wish.id, "--package", package])


def _names(text: str, finding: Finding) -> bool:
    if text.startswith("pkg:"):
        return waivers.same_package(text, finding.purl)
    return text.lower() == waivers.subject(finding).lower()


def _entry(wish: Wish, matching: list[tuple[str, Finding]]) -> Waiver:
    """The waiver of a wish. Raises Stop (2) naming what does not hold."""
    kind = "purl" if wish.package.startswith("pkg:") else "package"
    data: dict[str, Any] = {
        "id": wish.id,
        kind: wish.package or waivers.subject(matching[0][1]),
        "applies": [name.strip() for name in wish.applies.split(",") if name.strip()],
        **{name: getattr(wish, name) for name in ("owner", "approver", "reason")},
        "ticket": wish.ticket or None,
        "created": waivers.today(),
        "expires": _last_day(wish.expires),
    }
    try:
        return Waiver.model_validate(data)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        raise Stop(f"scan.waive: {said}", Code.USAGE, HELP) from error


def _last_day(text: str) -> date:
    try:
        return waivers.today() + timedelta(days=int(text)) if text.isdecimal() else date.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        example = waivers.today() + timedelta(days=DAYS)
        raise Stop(
            f"--expires: '{text}' is neither a day such as {example} nor days from now", Code.USAGE, HELP
        ) from error


def _refuse(waiver: Waiver, matching: list[tuple[str, Finding]], present: list[Waiver]) -> None:
    """Raises Stop (2) for a waiver that the verdict would refuse, or that says again what is there."""
    problems = waiver_rules.faults([waiver], settings.known(), waivers.today())
    if any(waiver.too_long_for(one) for _, one in matching):
        most = waivers.LONGEST_CRITICAL_DAYS
        problems.append(f"the finding is critical: at most {most} days are allowed")
    gates = {gate for gate, _ in matching}
    if not gates & {*waiver.gates}:
        problems.append(f"it would match nothing: {', '.join(sorted(gates))} found it, not {', '.join(waiver.gates)}")
    same = [one for one in present if (one.id, one.subject, one.applies) == (waiver.id, waiver.subject, waiver.applies)]
    problems += [f"it is there already, until {one.expires}; edit {waivers.FILE}" for one in same]
    if problems:
        raise Stop("\n".join(f"scan.waive: {one}" for one in problems), Code.USAGE, HELP)


def _added(path: Path, waiver: Waiver) -> str:
    """The file's text with the waiver as the first of the list; comments, order and quoting stay."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.util import load_yaml_guess_indent

    waivers.load(path)
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    data, indent, offset = load_yaml_guess_indent(io.StringIO(old), yaml=yaml)
    above = old if data is None else ""  # nothing but comments
    data = CommentedMap() if data is None else data
    entry = CommentedMap(waiver.model_dump(exclude_none=True))
    entry["applies"] = CommentedSeq(waiver.applies)
    entry["applies"].fa.set_flow_style()
    if not data.get("waivers"):
        data["waivers"] = CommentedSeq()
    data["waivers"].fa.set_block_style()
    data["waivers"].insert(0, entry)
    yaml.indent(mapping=2, sequence=indent or 4, offset=2 if offset is None else offset)
    text = io.StringIO()
    yaml.dump(data, text)
    return above + text.getvalue()


def _ask(c: Context, wish: Wish, found: list[tuple[str, Finding]]) -> Wish:
    """Asks a person for what the wish does not say, with a suggestion where there is one."""
    if not wish.id:
        blocked = summary.worst_first([Blocked(gate=gate, why="", finding=one) for gate, one in found])
        named = [(one.gate, one.finding) for one in blocked if one.finding]
        rows = [(gate, one.id, one.severity.value, waivers.subject(one), one.title[:80]) for gate, one in named]
        terminal.table("Found in this commit", ("gate", "id", "severity", "package or file", "what"), rows)
        wish = replace(wish, id=terminal.ask("Id of the finding"))
    if not wish.package:
        subjects = sorted({waivers.subject(one) for _, one in found if wish.id in (one.id, *one.aliases)})
        if len(subjects) > 1:
            wish = replace(wish, package=terminal.ask(f"Package ({', '.join(subjects)})"))
    gates = ",".join(sorted({gate for gate, _ in _matching(found, wish)}))
    questions = {
        "applies": ("Gates and environments that it is limited to, by comma, or all", gates),
        "owner": ("Who gets rid of it", git.person(c)),
        "approver": ("Who agreed", ""),
        "reason": ("Why it does no harm meanwhile", ""),
        "expires": ("Last day, or days from now", str(DAYS)),
        "ticket": ("Ticket (optional)", ""),
    }
    said = {name: terminal.ask(*asked) for name, asked in questions.items() if not getattr(wish, name)}
    return replace(wish, **said)
