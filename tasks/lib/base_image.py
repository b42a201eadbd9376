"""The base image of a build, by digest: what a tag names tomorrow is not what the record says today."""

from __future__ import annotations

import re
from pathlib import Path

from invoke.context import Context

from tasks.lib import registry, terminal
from tasks.lib.errors import Stop

DEFAULT = re.compile(r"^ARG BASE_IMAGE=(\S+)$", re.MULTILINE)


def pinned(c: Context, given: str, dockerfile: Path) -> str:
    """The base that the engine gave, else the Dockerfile's default as name@digest; '' where no registry names it.

    A registry that only the engine can reach (a mirror of its own) is no reason not to build: the record then has no
    digest of the base.
    """
    found = DEFAULT.search(dockerfile.read_text(encoding="utf-8"))
    if given or not found or "@" in found[1]:
        return given or (found[1] if found else "")
    try:
        digest = registry.digest(c, found[1])
    except Stop as stop:
        digest = ""
        terminal.warn(stop.sentence)
    if not digest:
        terminal.warn(f"{found[1]} has no digest that can be asked for; the record names the base image without one")
        return ""
    return f"{found[1]}@{digest}"
