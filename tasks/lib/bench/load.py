"""Constant load on one address of this machine: hey, with keep-alive and with a new connection per request."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from invoke.context import Context

from tasks.lib import tools
from tasks.lib.errors import Code, Stop
from tasks.lib.lab.layout import ADDRESS, LOOPBACK

CLIENTS = 10  # connections per kind
RATE = 5  # requests per second and connection
LONGEST_SECONDS = 1800
ANSWER_SECONDS = 20  # a request without an answer after this counts as failed
ADDRESSES = (LOOPBACK, ADDRESS)


@dataclass
class Load:
    """What came of it, both kinds together; slowest in seconds."""

    answered: int = 0
    failed: int = 0
    slowest: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def sent(self) -> int:
        return self.answered + self.failed


def parse(report: str, kind: str) -> Load:
    """What hey's report says. Raises Stop (4) when it is none: nothing measured is not the same as nothing failed."""
    status = re.findall(r"^\s*\[(\d{3})\]\t(\d+) responses", report, flags=re.MULTILINE)
    errors = re.findall(r"^\s*\[(\d+)\]\t(?!\d+ responses)(.+)$", report, flags=re.MULTILINE)
    slowest = re.search(r"Slowest:\s+([\d.]+) secs", report)
    if not status or not slowest:
        raise Stop(f"the load ({kind}) reported nothing: {' '.join(report.split())[-200:]}", Code.COULD_NOT_RUN)
    found = Load(slowest=float(slowest[1]))
    for code, count in status:
        if code == "200":
            found.answered += int(count)
        else:
            found.errors[f"{kind}: status {code}"] = int(count)
    for count, text in errors:
        cause = re.sub(r"127\.0\.0\.1:\d+->", "", text.split(": ", 1)[-1])[:80]
        found.errors[f"{kind}: {cause}"] = found.errors.get(f"{kind}: {cause}", 0) + int(count)
    found.failed = sum(found.errors.values())
    return found


@contextmanager
def under_load(c: Context, url: str) -> Iterator[Load]:
    """Both kinds of load on `url` while the block runs; the Load is filled in when it ends.

    Raises Stop (2) for any address outside of this machine.
    """
    if urlsplit(url).hostname not in ADDRESSES:
        raise Stop(f"load is only sent to this machine, not to {url}", Code.USAGE)
    hey = str(tools.path(c, "hey"))
    words = [hey, "-z", f"{LONGEST_SECONDS}s", "-c", str(CLIENTS), "-q", str(RATE), "-t", str(ANSWER_SECONDS)]
    kinds = {"keep-alive": [*words, url], "new connection": [*words, "-disable-keepalive", url]}
    running = {kind: subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for kind, argv in kinds.items()}
    total = Load()
    try:
        yield total
        for kind, process in running.items():
            process.send_signal(signal.SIGINT)  # hey then reports what it has
            found = parse(process.communicate(timeout=ANSWER_SECONDS + 40)[0], kind)
            total.answered += found.answered
            total.failed += found.failed
            total.slowest = max(total.slowest, found.slowest)
            total.errors |= found.errors
    finally:
        for process in running.values():
            process.kill()
            process.wait()
