"""Who listens where: the kernel's tables read right, and a socket's owner named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tasks.lib.lab import listeners

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
TCP4 = "   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n"
ESTABLISHED = "   1: 0100007F:1389 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n"
TCP6 = "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4713 1 0\n"
MAPPED = "   0: 0000000000000000FFFF000001000A0A:192B 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4714 1 0\n"


def test_reads_listening_sockets_only() -> None:
    found = listeners.parse(HEADER + TCP4 + ESTABLISHED)
    assert found == [listeners.Listener("127.0.0.1", 5000, "4711")]


def test_reads_ipv6_and_mapped_addresses() -> None:
    found = listeners.parse(HEADER + TCP6 + MAPPED)
    assert [(one.address, one.port) for one in found] == [("::", 8080), ("10.10.0.1", 6443)]


def test_finds_the_rival_and_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        rival = listeners.taken("127.0.0.1", port)
        assert rival is not None
        assert listeners.owner(rival) == (os.getpid(), Path("/proc/self/comm").read_text().strip())
    assert listeners.taken("127.0.0.1", port) is None


def test_a_server_on_all_addresses_is_a_rival_and_one_elsewhere_is_not() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere, socket.create_server(("127.0.0.2", 0)) as elsewhere:
        assert listeners.taken("127.0.0.1", everywhere.getsockname()[1])
        assert listeners.taken("127.0.0.1", elsewhere.getsockname()[1]) is None
