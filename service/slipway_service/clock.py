"""The time in a zone."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

# Only the locked tzdata package: slim base images have no zone files, others have some of another year.
zoneinfo.reset_tzpath(to=[])


class UnknownZone(ValueError):
    """The zone asked for does not exist; the message can be shown to the caller."""


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """All zone names that are served."""
    return frozenset(zoneinfo.available_timezones())


def now_in(zone: str) -> dict[str, Any]:
    """The current time in `zone` (an IANA name such as Europe/Berlin). Raises UnknownZone."""
    if zone not in zones():
        raise UnknownZone("zone must be an IANA time zone name such as Europe/Berlin")
    now = datetime.now(timezone.utc).astimezone(zoneinfo.ZoneInfo(zone))
    offset = now.utcoffset()
    return {
        "zone": zone,
        "time": now.isoformat(timespec="milliseconds"),
        "abbreviation": now.tzname(),
        "utc_offset_seconds": int(offset.total_seconds()) if offset is not None else 0,
    }
