"""Turns what a failed installer printed into one sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from invoke.runners import Result

from tasks.lib.errors import Code, Stop
from tasks.lib.runner import redact
from tasks.lib.tools import find, pins

# What Go, pip, npm and apt say when a registry does not answer.
OUT_OF_REACH = re.compile(
    r"no such host|dial tcp|i/o timeout|TLS handshake|network is unreachable|proxyconnect|module lookup disabled"
    r"|Failed to establish a new connection|Max retries exceeded|Could not find a version|No matching distribution"
    r"|Cannot connect to proxy|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH"
    r"|Could not resolve|Temporary failure|Unable to connect|Failed to fetch|Could not connect"
    r"|connection refused|50[234] (Bad Gateway|Service Unavailable|Gateway Time)",
    re.IGNORECASE,
)
FULL = re.compile(r"no space left on device", re.IGNORECASE)
REGISTRY = {
    "go": "the Go module proxy (GOPROXY)",
    "pypi": "the Python package index (PIP_INDEX_URL)",
    "npm": "the npm registry (npm config get registry)",
    "deb": "the Debian mirror (/etc/apt/sources.list.d)",
}


def cannot(rows: Sequence[pins.AnyPin], result: Result) -> Stop:
    """The Stop (4) for programs whose installer failed; they come from one registry."""
    what = ", ".join(f"{row.name} {getattr(row, 'version', '')}".strip() for row in rows)
    own = f"{rows[0].name} ({find.wanted(rows[0])})" if len(rows) == 1 else "your own (see ./inv tools.list)"
    text = f"{result.stderr}\n{result.stdout}"
    if FULL.search(text):
        return Stop(f"{what} cannot be installed: the disk is full", Code.COULD_NOT_RUN, "df -h; go clean -cache")
    if OUT_OF_REACH.search(text):
        return Stop(
            f"{what} cannot be installed: {REGISTRY.get(rows[0].how, 'its registry')} is out of reach; "
            f"set it to one that is in reach, or put {own} on PATH",
            Code.COULD_NOT_RUN,
            f"./inv tools.install --only {','.join(row.name for row in rows)}",
        )
    lines = [line.strip() for line in (result.stderr.strip() or result.stdout.strip()).splitlines() if line.strip()]
    said = "; ".join(lines[-3:]) or f"exit code {result.exited}"
    return Stop(
        f"{what} cannot be installed: {redact(said)[:600]}",
        Code.COULD_NOT_RUN,
        "./inv tools.install, which goes on where it stopped",
    )
