"""Durations and moments as people type them and read them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"(\d{1,6})([smhd])")


def duration(text: str) -> timedelta:
    """What '90s', '30m', '4h' and '2d' say. Raises ValueError for anything else."""
    found = DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}' is no duration; a number and s, m, h or d, such as 30m")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def moment(text: str, now: datetime) -> datetime:
    """The moment that a duration from `now`, a date or a time in ISO 8601 names; without a zone it is in UTC.

    A date means its first second. Raises ValueError for anything else.
    """
    if DURATION.fullmatch(text.strip()):
        return now + duration(text)
    try:
        # Python 3.10 does not know Z.
        found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    except ValueError as error:
        raise ValueError(
            f"'{text}' is neither a time such as 2026-12-24T18:00 (UTC) nor a duration such as 4h"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def shown(when: datetime) -> str:
    """A moment for people, to the second, with its zone."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def length(span: timedelta) -> str:
    """A duration for people: '45 s', '30 min', '1 h 20 min', '2 d 3 h'."""
    seconds = max(int(span.total_seconds()), 0)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
