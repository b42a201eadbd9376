"""Builds programs from the Go modules in tools/, and finds a pinned module's sources."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from invoke.context import Context

from tasks.lib import trace
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import run
from tasks.lib.tools import pins, trouble

BUILD_SECONDS = 3600.0
DOWNLOAD_SECONDS = 900.0
ANY_EXIT = range(256)
# Nobody debugs these programs: the compiler makes no debugging data that the linker would leave out again, and collects
# garbage less often. Helm from nothing took 227 s of CPU time without these two and 191 s with them.
NO_DEBUGGING = ["-gcflags=all=-dwarf=false", "-trimpath", "-buildvcs=false"]
FEWER_COLLECTIONS = {"GOGC": "400"}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every Go call of ours runs under, whatever the user's own settings are."""
    ours = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", **(extra or {})}
    if not os.environ.get("HOME"):
        ours["HOME"] = pwd.getpwuid(os.getuid()).pw_dir  # Go keeps its caches there and refuses to run without
    return ours


def build(c: Context, row: pins.GoPin, go: Path, target: Path) -> None:
    """Compiles one program to `target`, which appears whole or not at all. Raises Stop (4).

    Go's own cache keeps every package that was compiled, so a build that died goes on where it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}.part-*"):
        left.unlink()
    # A compiler that outlived its killed caller must not write into the file of the next one.
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    flags = ["-mod=readonly", *NO_DEBUGGING, f"-ldflags=-s -w {row.ldflags}".strip()]
    result = run(
        c,
        [go, "build", *flags, "-o", part, row.package],
        step=f"build {row.name} {row.version}",
        timeout=BUILD_SECONDS,
        env=environment({**FEWER_COLLECTIONS, **row.env}),
        cwd=pins.folder_of(row),
        ok=ANY_EXIT,
        quiet=True,
    )
    if result.exited != 0:
        part.unlink(missing_ok=True)
        raise trouble.cannot(row, result)
    part.replace(target)


def group_of(module: str) -> pins.GoPin:
    """The row that pins a module. Raises Stop (2) naming the pinned ones."""
    rows = [row for row in pins.known().values() if isinstance(row, pins.GoPin)]
    for row in rows:
        if row.module == module:
            return row
    names = ", ".join(sorted({row.module for row in rows}))
    raise Stop(f"the module {module} is not pinned in tools/; pinned: {names}", Code.USAGE)


@trace.aside()
def source_dir(c: Context, module: str) -> Path:
    """The folder with the sources of a pinned module, downloaded when it is not there. Read-only. Raises Stop (4).

    module: its path, such as github.com/argoproj/argo-cd/v3; upstream manifests and scripts come from there.
    """
    from tasks.lib.tools.plan import path

    row = group_of(module)
    go = path(c, "go")
    result = run(
        c,
        [go, "mod", "download", "-json", module],
        step=f"fetch the sources of {module}",
        timeout=DOWNLOAD_SECONDS,
        env=environment(),
        cwd=pins.folder_of(row),
        ok=ANY_EXIT,
        quiet=True,
    )
    folder = _folder(result.stdout)
    if result.exited != 0 or folder is None:
        raise trouble.cannot(row, result)
    return folder


def _folder(answer: str) -> Path | None:
    try:
        folder = Path(json.loads(answer)["Dir"])
    except (ValueError, KeyError, TypeError):
        return None
    return folder if folder.is_dir() else None
