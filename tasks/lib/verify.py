"""What a release record must say before its image may run: one check per field, and the policy of one environment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone

from tasks.lib import terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import policy
from tasks.lib.record import REQUIRED_GATES, GateEntry, Record
from tasks.lib.settings import Environment, Severity

PASSED = ("pass", "waived")


@dataclass(frozen=True)
class Check:
    """One field of the record: what it says and, where that refuses the release, why and what to do ('': build again).

    lasting: it is about what the release is. The others are the opinion of an environment and of a day.
    """

    field: str
    says: str
    problem: str = ""
    fix: str = ""
    lasting: bool = False


def checks(
    record: Record,
    env: Environment,
    sha: str,
    digest: str,
    required: Sequence[str] = REQUIRED_GATES,
    today: date | None = None,
) -> list[Check]:
    """Every check of a record against a commit, an image digest ('' before the push) and an environment's policy.

    today: the day that waivers must reach, default today in UTC.
    """
    found = [*_identity(record, sha, digest), _dirty(record, env)]
    for name in required:
        gate = next((gate for gate in record.predicate.gates if gate.name == name), None)
        if gate is None:
            found.append(Check(f"predicate.gates.{name}", "", "the gate is missing"))
        else:
            found += _gate(gate, env, today or datetime.now(timezone.utc).date())
    return found


def rebuild(env: Environment) -> str:
    """The line that scans, builds and pushes again, under the policy of this environment."""
    return "./inv " + " ".join(f"{task} --env {env.name}" for task in ("scan", "build", "push"))


def demand(found: Sequence[Check], sha: str, env: Environment) -> None:
    """Raises Stop (5) that names the first field that refuses, and the next command."""
    for check in found:
        if check.problem:
            text = f"the release record of {sha[:12]} refuses for {env.name}: {check.field}: {check.problem}"
            raise Stop(text, Code.REFUSED, check.fix or rebuild(env))


def demand_lasting(found: Sequence[Check], sha: str, env: Environment) -> None:
    """For the way back: what the release is must hold; what is thought of it today is only told. Raises Stop (5)."""
    demand([check for check in found if check.lasting], sha, env)
    for check in found:
        if check.problem:
            terminal.warn(f"{check.field}: {check.problem}; a release that ran in {env.name} may return all the same")


def _identity(record: Record, sha: str, digest: str) -> Iterator[Check]:
    commit = record.predicate.commit
    problem = "" if commit == sha else f"it is about {commit[:12]}"
    yield Check("predicate.commit", commit[:12], problem, lasting=True)
    if digest:
        said = [f"sha256:{subject.digest.get('sha256', '')}" for subject in record.subject]
        yield Check(
            "subject.digest",
            " ".join(said)[:19],
            "" if digest in said else f"it is not about {digest[:19]}",
            lasting=True,
        )


def _dirty(record: Record, env: Environment) -> Check:
    refused = record.predicate.dirty and not env.allow_dirty
    return Check(
        "predicate.dirty",
        "uncommitted changes" if record.predicate.dirty else "a commit",
        "it was built from changes that are in no commit of the branch" if refused else "",
        f"git commit, then {rebuild(env)}",
    )


def _gate(gate: GateEntry, env: Environment, today: date) -> Iterator[Check]:
    at = f"predicate.gates.{gate.name}"
    yield Check(f"{at}.outcome", gate.outcome, "" if gate.outcome in PASSED else gate.outcome or "it says nothing")
    caught = f"{gate.canary.caught} of {gate.canary.planted} caught"
    blind = gate.canary.caught < gate.canary.planted or not gate.canary.planted
    yield Check(f"{at}.canary", caught, f"the scanner saw nothing planted: {caught}" if blind else "")
    blocking = [*dict.fromkeys([*(one.value for one in env.gates.severities), Severity.UNKNOWN.value])]
    left = {name: gate.open[name] for name in blocking if gate.open[name]}
    shown = ", ".join(f"{count} {name}" for name, count in left.items())
    yield Check(
        f"{at}.counts",
        shown or "nothing that blocks",
        f"{shown} that no waiver covers, which {env.name} does not accept" if shown else "",
        f"./inv scan.gate --env {env.name}",
    )
    for waiver in gate.waivers:
        if any(waiver.findings.get(name) for name in blocking):
            yield from _waiver(f"{at}.waivers.{waiver.id}", waiver.expires, waiver.applies, env, today)
    yield from _database(at, gate, env)


def _waiver(at: str, expires: date, applies: Sequence[str], env: Environment, today: date) -> Iterator[Check]:
    renew = f"edit gitops/waivers.yaml, commit it, then {rebuild(env)}"
    places = [name for name in applies if name not in (*REQUIRED_GATES, "all")]
    elsewhere = bool(places) and env.name not in places
    yield Check(
        f"{at}.applies",
        ", ".join(applies) or "all",
        f"the waiver is for {', '.join(places)}, not for {env.name}" if elsewhere else "",
        renew,
    )
    yield Check(f"{at}.expires", str(expires), f"the waiver expired on {expires}" if expires < today else "", renew)


def _database(at: str, gate: GateEntry, env: Environment) -> Iterator[Check]:
    if gate.database is None:
        return
    day = gate.database.date.date()
    update = f"./inv scan.update --env {env.name}, then {rebuild(env)}"
    refused = gate.database.snapshot and not env.gates.allow_snapshot
    yield Check(
        f"{at}.database.snapshot",
        "the shipped snapshot" if gate.database.snapshot else gate.database.source,
        f"only the shipped snapshot of {day} was compared with, which {env.name} does not accept" if refused else "",
        update,
    )
    age, most = (gate.ended - gate.database.date).days, env.gates.max_database_age_days
    old = f"its database was of {day}, {age} days old; {env.name} allows {most}"
    yield Check(f"{at}.database.date", f"{day}, {age} days old at the scan", old if age > most else "", update)
    covers = gate.database.covers
    lacking = policy.uncovered(env, gate.name, covers, str(gate.covered.get("os", "")))
    yield Check(f"{at}.database.covers", ", ".join(covers) or "nothing", lacking, update)
