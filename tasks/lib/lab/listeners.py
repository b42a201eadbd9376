"""Who listens where, read from /proc: for a clear word about a taken port, and for proof that the lab stays inside."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket; address as text, inode names the socket."""

    address: str
    port: int
    inode: str


def parse(table: str) -> list[Listener]:
    """Listening sockets of /proc/net/tcp or tcp6."""
    found = []
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 9 and words[3] == LISTEN:
            address, _, port = words[1].partition(":")
            found.append(Listener(_address(address), int(port, 16), words[9]))
    return found


def _address(text: str) -> str:
    """The kernel prints each 32-bit word of an address in the machine's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    plain = socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)
    return plain.removeprefix("::ffff:")


def all_listeners() -> list[Listener]:
    """All listening TCP sockets of this network namespace."""
    found = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            found += parse((PROC / "net" / name).read_text())
    return found


def owner(listener: Listener) -> tuple[int, str] | None:
    """Process id and name of a socket's owner; None when this user may not see it."""
    for folder in PROC.glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for entry in folder.iterdir():
                if str(entry.readlink()) == f"socket:[{listener.inode}]":
                    return int(folder.parent.name), (folder.parent / "comm").read_text().strip()
    return None


def taken(address: str, port: int) -> Listener | None:
    """The socket that keeps a server from listening at this address, if there is one."""
    rivals = (address, "0.0.0.0", "::")  # noqa: S104
    return next((one for one in all_listeners() if one.port == port and one.address in rivals), None)
