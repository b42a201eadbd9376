"""What the waivers of a commit must hold to: dates, places, and that each matches something."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta

from tasks.lib.gates.models import Report
from tasks.lib.gates.waivers import EVERYWHERE, FILE, WAIVABLE, Waiver, parse_purl

LONGEST_DAYS = 90
WARN_DAYS = 7


def faults(waivers: Sequence[Waiver], environments: Collection[str], now: date) -> list[str]:
    """A sentence for each waiver whose dates or places do not hold; `environments` are those that it may name."""
    found = []
    for index, waiver in enumerate(waivers):
        name = f"{FILE}: the waiver of {waiver.id} for {waiver.subject}"
        days = (waiver.expires - waiver.created).days
        if waiver.expires < now:
            found.append(f"{name} expired on {waiver.expires}")
        if waiver.created > now:
            found.append(f"{name} is created in the future, on {waiver.created}")
        if days > LONGEST_DAYS:
            found.append(f"{name} lasts {days} days; at most {LONGEST_DAYS} are allowed")
        if days < 0:
            found.append(f"{name} expires before it is created")
        if unknown := sorted({*waiver.environments} - {*environments}):
            known = ", ".join((EVERYWHERE, *WAIVABLE, *sorted(environments)))
            found.append(f"{name} applies to unknown {', '.join(unknown)}; known: {known}")
        if EVERYWHERE in waiver.applies and len(waiver.applies) > 1:
            found.append(f"{name} applies to all and to {', '.join(waiver.applies[1:])}: name one or the other")
        same = [one for one in waivers[:index] if (one.id, one.subject) == (waiver.id, waiver.subject)]
        if any(sorted(one.applies) == sorted(waiver.applies) for one in same):
            found.append(f"{name} is there twice")
    return found


def unused(waiver: Waiver, environment: str, judged: Iterable[Report]) -> bool:
    """Whether a waiver matches nothing, for sure: everything that it could be about was looked at in this verdict.

    judged: the reports that count. Nothing is said of a waiver for another environment, for a gate that is not judged,
    of a secret in commits before the scanned range, or of an advisory that is newer than the database.
    """
    if waiver.environments and environment not in waiver.environments:
        return False
    reports = {report.gate: report for report in judged}
    for gate in waiver.gates:
        report = reports.get(gate)
        if report is None or not _would_be_seen(waiver, report) or any(map(waiver.about, report.findings)):
            return False
    return True


def _would_be_seen(waiver: Waiver, report: Report) -> bool:
    database = report.database
    if database is None:
        return not report.covered.base
    if database.snapshot or database.date.date() < waiver.created:
        return False
    system = report.covered.os.partition(" ")[0]
    python = waiver.purl is not None and parse_purl(waiver.purl).type == "pypi"
    return not system or system in database.covers or python


def ending_soon(waiver: Waiver, now: date) -> bool:
    """Whether it is time to say that a waiver ends."""
    return now <= waiver.expires <= now + timedelta(days=WARN_DAYS)
