"""Known vulnerabilities in the locked Python requirements of a commit, found by Safety in a local database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke.context import Context
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tasks.lib import git, paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import databases, running, safety_output
from tasks.lib.gates.models import Finding, Report
from tasks.lib.gates.safety_output import CheckReport, Vulnerability
from tasks.lib.runner import run
from tasks.lib.settings import Environment

GATE = "deps"
FILES = ("requirements.txt", "service/requirements.txt")
LOCK = re.compile(r"(.*/)?[^/]*requirements[^/]*\.txt")  # what else a commit may hold is looked up, too
SECONDS = 180.0
CLEAN, VULNERABLE = 0, 64
# Vulnerable in every database since 2021; the first that the commit itself does not require is planted.
CANARIES = (("pyyaml", "5.1"), ("django", "1.11.0"), ("urllib3", "1.24.1"), ("jinja2", "2.10"), ("pillow", "6.2.0"))
OPTIONS = re.compile(
    r"^--(hash|index-url|extra-index-url|find-links|only-binary|no-binary|require-hashes|prefer-binary)\b"
)


@dataclass(frozen=True)
class Pin:
    """One exact version that a requirements file asks for."""

    name: str
    version: str
    file: str
    line: int


def pins(text: str, file: str) -> list[Pin]:
    """All pins of a requirements file. Raises Stop (4) for a line that names no exact version."""
    found = []
    number, logical = 0, ""
    for index, line in enumerate(text.splitlines(), start=1):
        number = number or index
        logical += line.removesuffix("\\") + " "
        if line.endswith("\\"):
            continue
        stripped = re.sub(r"(^|\s)#.*", "", logical).strip()
        if stripped and not OPTIONS.match(stripped):
            found.append(_pin(re.split(r"\s--?[a-z]", stripped)[0].strip(), file, number))
        number, logical = 0, ""
    return found


def _pin(text: str, file: str, line: int) -> Pin:
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        wanted = None
    exact = re.fullmatch(r"={2,3}\s*([^*,\s]+)", str(wanted.specifier)) if wanted and not wanted.url else None
    if not wanted or not exact:
        raise Stop(
            f"deps: {file}:{line}: '{text[:80]}' is not pinned to one version, so it cannot be looked up",
            Code.COULD_NOT_RUN,
            "./inv requirements.lock",
        )
    return Pin(canonicalize_name(wanted.name), exact.group(1), file, line)


def read_pins(c: Context, sha: str, repo: Path = paths.ROOT) -> list[Pin]:
    """The pins of all requirements files of a commit. Raises Stop (4) when one of ours or its pins are missing."""
    found = []
    held = [name for name in git.ask(c, "ls-tree", "-r", "-z", "--name-only", sha, repo=repo).split("\0") if name]
    for file in (*FILES, *sorted(name for name in held if LOCK.fullmatch(name) and name not in FILES)):
        if file not in held:
            raise Stop(f"deps: commit {sha[:8]} has no {file}", Code.COULD_NOT_RUN, "./inv requirements.lock")
        in_file = pins(git.ask(c, "show", f"{sha}:{file}", repo=repo), file)
        if not in_file:
            raise Stop(
                f"deps: {file} of commit {sha[:8]} names no package", Code.COULD_NOT_RUN, "./inv requirements.lock"
            )
        found += in_file
    return found


def check(c: Context, env: Environment, sha: str, repo: Path = paths.ROOT) -> Report:
    """Runs Safety over the commit's pins and a planted vulnerable one, in one go; keeps and returns the report."""

    def look(report: Report, scratch: Path) -> None:
        required = read_pins(c, sha, repo)
        database = databases.safety(env)
        report.database = database.about
        program = tools.path(c, "safety")
        taken = {pin.name for pin in required}
        canary = next(((name, version) for name, version in CANARIES if name not in taken), None)
        if canary is None:
            raise Stop("deps: the commit requires every package that could be planted", Code.COULD_NOT_RUN)
        wanted = sorted({(pin.name, pin.version) for pin in required} | {canary})
        listed = scratch / "requirements.txt"
        listed.write_text("".join(f"{name}=={version}\n" for name, version in wanted), encoding="utf-8")
        answer = _safety(c, report, program, database.folder, listed, scratch)
        _all_looked_at(answer, wanted)
        report.covered.packages = len(wanted) - 1
        report.covered.files = sorted({pin.file for pin in required})
        report.canary.planted = [f"{canary[0]}=={canary[1]}"]
        places = {(pin.name, pin.version): pin for pin in reversed(required)}
        for found in answer.vulnerabilities:
            pin = (canonicalize_name(found.package), found.installed)
            if pin == canary:
                report.canary.caught = list(report.canary.planted)
            else:
                report.findings.append(_finding(found, places[pin], database.details))
        report.database.covers = ["pip"] if report.canary.caught else []

    return running.examine(GATE, sha, "safety", look)


def _safety(c: Context, report: Report, program: Path, database: Path, listed: Path, scratch: Path) -> CheckReport:
    words: list[str | Path] = [program, "--disable-optional-telemetry", "check", "--db", database]
    words += ["--json", "-r", listed]
    report.command = running.shown(["safety", *words[1:]], scratch)
    # With an API key Safety ignores --db without a word. Home and working folder of its own keep the user's login,
    # settings and .safety-policy.yml out, whose waivers nobody reviewed.
    clean = {"SAFETY_API_KEY": "", "HOME": str(scratch), "PYTHONWARNINGS": "ignore"}
    result = run(
        c, words, step="scan the requirements", timeout=SECONDS, env=clean, ok=(CLEAN, VULNERABLE), cwd=scratch
    )
    answer = CheckReport.model_validate(safety_output.document(result.stdout))
    report.version = answer.about.version
    if answer.about.api_key or answer.about.database != str(database):
        raise Stop("deps: Safety did not use the local database", Code.COULD_NOT_RUN)
    if bool(answer.vulnerabilities) != (result.exited == VULNERABLE):
        raise Stop("deps: Safety's exit code and report contradict each other", Code.COULD_NOT_RUN)
    return answer


def _all_looked_at(answer: CheckReport, wanted: list[tuple[str, str]]) -> None:
    """Safety leaves out lines that it cannot read, with exit code 0."""
    seen = set()
    for package in answer.packages.values():
        for one in package["requirements"]:
            seen.add((canonicalize_name(one["name"]), re.sub(r"^={2,3}", "", one["specifier"])))
    left_out = [f"{name}=={version}" for name, version in wanted if (name, version) not in seen]
    if left_out:
        raise Stop(f"deps: Safety did not look at {', '.join(left_out[:5])}", Code.COULD_NOT_RUN)


def _finding(found: Vulnerability, pin: Pin, details: dict[str, dict[str, Any]]) -> Finding:
    """As Safety says it, with what the advisories know beyond that and the line of the commit that asks for it."""
    known = details.get(found.id, {})
    about = {
        "severity": databases.severity(known.get("severity", "")),
        "title": known.get("title") or found.advisory,
        "url": known.get("url", ""),
        "aliases": known.get("aliases", []),
    }
    return Finding.model_validate({**found.finding().model_dump(), **about, "file": pin.file, "line": pin.line})
