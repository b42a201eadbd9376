"""Questions that say whether a daemon serves; each returns False rather than raising."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

TIMEOUT = 2.0  # seconds for one question; the caller repeats it


def tcp(host: str, port: int) -> Callable[[], bool]:
    """Whether something accepts connections there."""

    def ask() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((host, port), TIMEOUT):
            return True
        return False

    return ask


def unix(path: Path) -> Callable[[], bool]:
    """Whether something accepts connections on this socket."""

    def ask() -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT)
            client.connect(str(path))
            return True
        return False

    return ask


def http(url: str, ca: Path | None = None) -> Callable[[], bool]:
    """Whether a GET answers 200; ca: the file with the authority of an https address."""

    def ask() -> bool:
        import requests

        with contextlib.suppress(requests.RequestException):
            session = requests.Session()
            session.trust_env = False  # a proxy for the outside has no business here
            return session.get(url, timeout=TIMEOUT, verify=str(ca) if ca else True).status_code == 200
        return False

    return ask
