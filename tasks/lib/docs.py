"""What the documents promise: every ./inv line names a task and options that exist, every link leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context

from tasks.lib import commands, git, paths

FENCE = re.compile(r"^\s*(```|~~~)")
INLINE = re.compile(r"`(\./inv[^`]*)`")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
PROMPT = re.compile(r"^\s*(?:[$#] )?(?=\./inv\b)")


@dataclass(frozen=True)
class Line:
    """One command as a document shows it."""

    file: str
    number: int
    text: str


@dataclass(frozen=True)
class Problem:
    file: str
    number: int
    text: str
    reason: str


def documents(c: Context) -> list[Path]:
    """Every Markdown file of the checkout that Git tracks or would track."""
    words = ("ls-files", "--cached", "--others", "--exclude-standard", "*.md")
    found = (paths.ROOT / name for name in git.ask(c, *words, repo=paths.ROOT).splitlines())
    return sorted({path for path in found if path.is_file()})


def lines(file: str, text: str) -> Iterator[Line]:
    """The ./inv lines of a document: in fenced blocks, and in inline code outside of them."""
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        if FENCE.match(line):
            fenced = not fenced
        elif fenced and PROMPT.match(line):
            yield Line(file, number, PROMPT.sub("", line).rstrip())
        elif not fenced:
            yield from (Line(file, number, found) for found in INLINE.findall(line))


def check(c: Context) -> tuple[int, list[Problem]]:
    """How many lines were looked at, and what is wrong with which."""
    from tasks.lib import settings

    environments = settings.known()
    seen: list[Line] = []
    problems: list[Problem] = []
    for path in documents(c):
        name, text = str(path.relative_to(paths.ROOT)), path.read_text(encoding="utf-8")
        found = list(lines(name, text))
        seen += found
        for line in found:
            if reason := commands.wrong(line.text, environments):
                problems.append(Problem(name, line.number, line.text, reason))
        problems += _dead_links(path, name, text)
    return len(seen), problems + list(_stale_reference())


def _stale_reference() -> Iterator[Problem]:
    from tasks.lib.infra import variables_docs

    if variables_docs.stale(paths.ROOT):
        reason = f"not what the Terraform files say; {variables_docs.COMMAND} writes it"
        yield Problem(variables_docs.FILE, 1, "the whole page", reason)


def _dead_links(path: Path, name: str, text: str) -> Iterator[Problem]:
    for number, line in enumerate(text.splitlines(), start=1):
        for target in LINK.findall(line):
            if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                yield Problem(name, number, target, "leads nowhere")
