"""Programs from PyPI and npm, installed from their locks into the project's cache."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.runner import run
from tasks.lib.tools import pins, trouble

INSTALL_SECONDS = 900.0
ANY_EXIT = range(256)
PIP = ["-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "2", "install", "--quiet"]


def wheel(c: Context, row: pins.PypiPin) -> None:
    """Installs a program from its hashed requirements; the folder appears whole or not at all. Raises Stop (4)."""
    if row.too_new:
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise Stop(
            f"{row.name} needs Python {row.needs_python} or newer, this is {here}", Code.COULD_NOT_RUN, "./inv doctor"
        )
    part = _fresh(pins.home(row))
    lock: list[str | Path] = [
        "--only-binary",
        ":all:",
        "--require-hashes",
        "--requirement",
        pins.folder_of(row) / "requirements.txt",
    ]
    if row.in_venv:
        _check(row, c, [sys.executable, "-m", "venv", part])
        _check(row, c, [part / "bin" / "python", *PIP, *lock])
        # Not the console script: that one carries the path of the folder in which it was made.
        words = f" -m {shlex.quote(row.module)}" if row.module else ""
        _launcher(part / row.name, f'exec "$here/bin/python"{words} "$@"')
    else:
        _check(row, c, [sys.executable, *PIP, *lock, "--target", part])
        (part / row.file).chmod(0o755)
    _publish(part, pins.home(row))


def node(c: Context, row: pins.NpmPin, node: Path) -> None:
    """Installs a Node.js program from its lock file; the folder appears whole or not at all. Raises Stop (4)."""
    part = _fresh(pins.home(row))
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(pins.folder_of(row) / name, part / name)
    _check(row, c, [*_npm(node), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", part])
    _launcher(part / row.name, f'exec {shlex.quote(str(node))} "$here/{row.script}" "$@"')
    _publish(part, pins.home(row))


def _npm(node: Path) -> list[str | Path]:
    """The words that run the npm that came with a node, with that node. Raises Stop (4)."""
    if (script := node.resolve().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js").exists():
        return [node, script]
    if (npm := shutil.which("npm", path=str(node.parent)) or shutil.which("npm")) is None:
        raise Stop(f"{node} has no npm beside it; install npm", Code.COULD_NOT_RUN, "apt-get install npm")
    # npm starts the first node on PATH, which may be the old one that was passed over.
    return ["env", f"PATH={node.parent}:{os.environ.get('PATH', os.defpath)}", npm]


def _check(row: pins.AnyPin, c: Context, argv: list[str | Path]) -> None:
    result = run(c, argv, step=f"install {row.name}", timeout=INSTALL_SECONDS, ok=ANY_EXIT, quiet=True)
    if result.exited != 0:
        raise trouble.cannot([row], result)


def _fresh(home: Path) -> Path:
    """An empty folder beside the one that is to appear; what a killed install left there goes."""
    part = home.with_name(f".{home.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def _publish(part: Path, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    part.rename(home)


def _launcher(path: Path, line: str) -> None:
    """A script that finds its own folder, through links too, and becomes the program."""
    path.write_text(f'#!/bin/sh\nhere=$(dirname -- "$(readlink -f -- "$0")")\n{line}\n', encoding="utf-8")
    path.chmod(0o755)
