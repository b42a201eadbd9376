"""Debian root file systems from the package mirror that this machine uses, security updates included."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

from invoke.context import Context

from tasks.lib.runner import run

SUITE = "bookworm"
STANDARD = (
    f"deb http://deb.debian.org/debian {SUITE} main",
    f"deb http://deb.debian.org/debian {SUITE}-updates main",
    f"deb http://deb.debian.org/debian-security {SUITE}-security main",
)
APT = Path("/etc/apt")
# Nobody reads a manual in a container; the copyright files stay, because the licences ask for it.
LEFT_OUT = ("man/*", "doc/*", "locale/*", "info/*", "lintian/*", "bug/*")
HANDED_ON = re.compile(r'^(Acquire::(?:Check-Valid-Until|Check-Date|https?::Proxy)(?:::\S*)?) "(.*)";$')
STEP = "Debian root file system"


def sources(texts: Sequence[str]) -> list[str]:
    """One-line package sources of the suite from the texts of a machine's own; the standard ones if it has none."""
    found: list[str] = []
    for text in texts:
        found += _stanzas(text) if re.search(r"^Types:", text, re.MULTILINE) else _lines(text)
    ours = [line for line in dict.fromkeys(found) if line.split()[2].split("/")[0].startswith(SUITE)]
    has = {line.split()[2] for line in ours}
    return ours if {SUITE, f"{SUITE}-security"} <= has else list(STANDARD)


def _lines(text: str) -> list[str]:
    """`deb [options] URI suite component...` lines, options dropped: mmdebstrap brings Debian's own keys."""
    rows = [re.sub(r"\[[^]]*\]\s*", "", line).split() for line in text.splitlines() if line.startswith("deb ")]
    return [f"deb {row[1]} {row[2]} main" for row in rows if len(row) > 3 and "main" in row[3:]]


def _stanzas(text: str) -> list[str]:
    """The deb822 form: one stanza, several URIs and suites."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        rows = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
        if "deb" not in rows.get("Types", "").split() or rows.get("Enabled", "yes").strip() == "no":
            continue
        if "main" in rows.get("Components", "").split():
            pairs = [(uri, suite) for uri in rows.get("URIs", "").split() for suite in rows.get("Suites", "").split()]
            found += [f"deb {uri} {suite} main" for uri, suite in pairs]
    return found


def host_sources() -> list[str]:
    """Package sources that this machine is set up with."""
    files = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]
    return sources(
        [file.read_text(errors="replace") for file in files if file.suffix in (".list", ".sources") and file.is_file()]
    )


def host_options(c: Context) -> list[str]:
    """This machine's apt settings without which its mirror might not be reached: proxies and checks of dates."""
    dump = run(c, ["apt-config", "dump"], step=STEP, timeout=20, quiet=True).stdout
    found = [match for line in dump.splitlines() if (match := HANDED_ON.match(line)) and match[2]]
    return [f'{match[1]} "{match[2]}"' for match in found]


def make(c: Context, target: Path, packages: Sequence[str], hooks: Sequence[str] = ()) -> None:
    """Writes a tar of a minimal Debian with these packages. hooks: shell lines run with the root folder as $1.

    Neither the mirror's name nor this machine's apt settings, host name or name servers stay in it.
    """
    standard = "\\n".join(STANDARD)
    clean = [
        f"printf '{standard}\\n' > \"$1/etc/apt/sources.list\"",
        'rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/hostname "$1"/etc/resolv.conf',
        'rm -f "$1"/var/log/*.log "$1"/var/log/apt/*',
        'rm -rf "$1"/var/cache/debconf/*-old "$1"/var/cache/ldconfig/* "$1"/var/lib/dpkg/*-old',
    ]
    partial = target.with_suffix(".new.tar")
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}" for name in LEFT_OUT]
    argv = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--mode=root",
        "--format=tar",
        f"--include={','.join(packages)}",
        *excludes,
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *(f"--aptopt={option}" for option in (*host_options(c), 'Apt::Install-Recommends "false"')),
        *(f"--customize-hook={hook}" for hook in (*hooks, *clean)),
        SUITE,
        partial,
        "-",
    ]
    text = "\n".join(host_sources()) + "\n"
    day = str(int(time.time()) // 86400 * 86400)  # files changed by the build itself get the day as their time
    env = {"SOURCE_DATE_EPOCH": day, "LC_ALL": "C.UTF-8"}
    run(c, argv, step=STEP, timeout=900, quiet=True, stdin=text, env=env, fix="apt-get update, then ./inv lab.up")
    partial.replace(target)
