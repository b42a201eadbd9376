"""The Python and shell files of a commit, laid out for the analysers, and one planted file of each language."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from invoke.context import Context

from tasks.lib import git, paths
from tasks.lib.errors import Code, Stop

PLANTED = "planted"
# One known-bad file per language, beside the commit's files and in the same run.
CANARIES = {
    "python": ("planted.py", "import subprocess\n\nsubprocess.call(input(), shell=True)\n"),
    "shell": ("planted.sh", '#!/bin/sh\nfor word in $@; do echo "$word"; done\n'),
}
FILES_WORTH_A_PART = 20  # fewer are read before a second bandit has started
PYTHON_LINE = re.compile(rb"^#!.*\bpython[0-9.]*\b")
SHELL_LINE = re.compile(rb"^#!.*\b(?:ba|da|k)?sh\b")
SWITCHED_OFF = re.compile(rb"#(?=[ \t]*shellcheck[ \t].*\b(?:disable|extended-analysis)=)")


@dataclass
class Sources:
    """The files of a commit by language, in a folder of their own: name in that folder to name in the commit."""

    folder: Path
    python: dict[str, str] = field(default_factory=dict)
    shell: dict[str, str] = field(default_factory=dict)
    lines: int = 0
    bytes: int = 0


def gather(c: Context, sha: str, scratch: Path, repo: Path = paths.ROOT) -> Sources:
    """Takes the Python and shell files out of the commit. Raises Stop (4) if it has none, or leaves some out."""
    sources = Sources(scratch / "code")
    python: dict[str, bytes] = {}
    for name, text in _files(c, sha, scratch, repo):
        first = text.split(b"\n", 1)[0]
        if name.endswith((".py", ".pyi")) or PYTHON_LINE.match(first):
            python[name] = text
        elif name.endswith((".sh", ".bash", ".ksh")) or SHELL_LINE.match(first):
            # Comments in the code that switch a check off were not approved and never end: they do not count.
            _add(sources, sources.shell, name, f"shell/{name}", SWITCHED_OFF.sub(b"##", text))
    # Bandit uses one core, so each core gets its part: the largest files first, in turn.
    parts = max(1, min(os.cpu_count() or 1, len(python) // FILES_WORTH_A_PART))
    for index, name in enumerate(sorted(python, key=lambda name: (-len(python[name]), name))):
        as_module = f"commit/{name}" if name.endswith(".py") else f"scripts/{name}.py"
        _add(sources, sources.python, name, f"python-{index % parts}/{as_module}", python[name])
    if not sources.python and not sources.shell:
        raise Stop(
            f"code: commit {sha[:8]} holds no Python and no shell file, so nothing was looked at", Code.COULD_NOT_RUN
        )
    (sources.folder / PLANTED).mkdir(parents=True)
    for name, planted in CANARIES.values():
        (sources.folder / PLANTED / name).write_text(planted, encoding="utf-8")
    return sources


def _files(c: Context, sha: str, scratch: Path, repo: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the commit and what it holds. Raises Stop (4) at the end if the archive lacks some."""
    listed = git.ask(c, "ls-tree", "-r", "-z", sha, repo=repo).split("\0")
    # Links lead to files that are looked at under their own name; submodules are other repositories.
    wanted = {entry.partition("\t")[2]: None for entry in listed if entry.startswith("100")}
    with tarfile.open(git.archive(c, sha, scratch / "commit.tar", repo=repo)) as held:
        for member in held:
            if member.name in wanted and (content := held.extractfile(member)):
                del wanted[member.name]
                yield member.name, content.read()
    if wanted:
        left_out = ", ".join(list(wanted)[:5])
        raise Stop(
            f"code: export-ignore in .gitattributes keeps {left_out} out of the archive of the commit",
            Code.COULD_NOT_RUN,
        )


def _add(sources: Sources, kind: dict[str, str], name: str, kept: str, text: bytes) -> None:
    target = sources.folder / kept
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text)
    kind[kept] = name
    sources.lines += text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
    sources.bytes += len(text)
