"""Package sources: this machine's own mirror where it has the suite with its security updates, else Debian's."""

from __future__ import annotations

from tasks.lib.lab import rootfs

DEB822 = """Types: deb
# a comment
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """# deb http://off.test/debian bookworm main
deb [signed-by=/x.gpg arch=amd64] http://mirror.test/debian bookworm main non-free
deb http://mirror.test/security bookworm-security main
deb http://elsewhere.test/apt stable main
"""


def test_reads_deb822_stanzas() -> None:
    assert rootfs.sources([DEB822]) == [
        "deb http://mirror.test/debian bookworm main",
        "deb http://mirror.test/debian bookworm-updates main",
        "deb http://mirror.test/debian-security bookworm-security main",
    ]


def test_reads_one_line_sources_without_options_and_other_suites() -> None:
    assert rootfs.sources([ONE_LINE]) == [
        "deb http://mirror.test/debian bookworm main",
        "deb http://mirror.test/security bookworm-security main",
    ]


def test_a_machine_of_another_suite_or_without_security_updates_uses_debians_own() -> None:
    assert rootfs.sources(["deb http://mirror.test/ubuntu noble main\n"]) == list(rootfs.STANDARD)
    assert rootfs.sources(["deb http://mirror.test/debian bookworm main\n"]) == list(rootfs.STANDARD)
    assert rootfs.sources([]) == list(rootfs.STANDARD)
