"""What a running apply has done so far, read from the file that it writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.lib.infra import messages

LOOK = 0.5  # seconds between looks at what a running program printed


@contextmanager
def followed(log: Path, total: int, note: Callable[[str], None]) -> Iterator[None]:
    """Tells, while a call writes its JSON into a file, how many of `total` changes are done and what is under way."""
    ended = threading.Event()

    def look() -> None:
        at = done = 0
        while not ended.wait(LOOK):
            written = _whole_lines(log, at)
            at += len(written)
            lines = list(messages.read(written.decode("utf-8", errors="replace")))
            done += sum(line.type == "apply_complete" for line in lines)
            if now := next((line.hook.resource.addr for line in reversed(lines) if line.hook), ""):
                note(f"({done} of {total} done, now {now})")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _whole_lines(log: Path, at: int) -> bytes:
    """What a file holds from a position in bytes to its last line that has an end."""
    if not log.exists():
        return b""
    with log.open("rb") as file:
        file.seek(at)
        found = file.read()
    return found[: found.rfind(b"\n") + 1]
