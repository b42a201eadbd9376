"""Builds programs from the Go modules in tools/, and finds a pinned module's sources."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from invoke.context import Context

from tasks.lib import trace
from tasks.lib.errors import Code, Stop
from tasks.lib.paths import cache
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


def build(c: Context, rows: Sequence[pins.GoPin], go: Path) -> None:
    """Compiles programs of one batch (see `batches`); each target appears whole or not at all. Raises Stop (4).

    One call of Go for all: one program is linked, on one core, while the next is compiled on the others. From nothing
    the thirteen of tools/platform took 422 s of two cores this way and 537 s one after the other.
    Go's own cache keeps every package that was compiled, so a build that died goes on where it was.
    """
    for left in (cache() / "tools").glob(".build-*"):
        shutil.rmtree(left, ignore_errors=True)
    # A compiler that outlived its killed caller must not write into the files of the next one.
    parts = cache() / "tools" / f".build-{os.getpid()}"
    parts.mkdir(parents=True)
    names = {row.name: file_name(row) if len(rows) > 1 else row.name for row in rows}
    out = f"{parts}/" if len(rows) > 1 else parts / rows[0].name
    link = [f"-ldflags={row.package}=-s -w {row.ldflags}".strip() for row in rows]
    flags = ["-mod=readonly", *NO_DEBUGGING, *link]
    result = run(
        c,
        [go, "build", *flags, "-o", out, *[row.package for row in rows]],
        step=f"build {', '.join(row.name for row in rows)}",
        timeout=BUILD_SECONDS,
        env=environment({**FEWER_COLLECTIONS, **rows[0].env}),
        cwd=pins.folder_of(rows[0]),
        ok=ANY_EXIT,
        quiet=True,
    )
    try:
        if result.exited != 0:
            raise trouble.cannot(rows, result)
        for row in rows:
            pins.target(row).parent.mkdir(parents=True, exist_ok=True)
            (parts / names[row.name]).replace(pins.target(row))
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def batches(rows: Iterable[pins.AnyPin]) -> Iterator[list[pins.AnyPin]]:
    """Splits rows, in their order, into what is installed in one step: neighbours that one call of Go can build."""
    for _, batch in groupby(rows, key=_batch):
        yield list(batch)


def _batch(row: pins.AnyPin) -> tuple[str, ...]:
    if isinstance(row, pins.GoPin):
        return (row.group, *(f"{name}={value}" for name, value in sorted(row.env.items())))
    return (row.group, row.name)


def file_name(row: pins.GoPin) -> str:
    """What Go calls it in a folder of several: the last part of its package that is no version (`go help build`)."""
    parts = row.package.split("/")
    return parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1]


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
        raise trouble.cannot([row], result)
    return folder


def _folder(answer: str) -> Path | None:
    try:
        folder = Path(json.loads(answer)["Dir"])
    except (ValueError, KeyError, TypeError):
        return None
    return folder if folder.is_dir() else None
