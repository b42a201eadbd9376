"""Documents and hints promise nothing that is not there."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import commands, docs, git, paths, settings

# Lines of the documents that neither build, ask nor change anything: these are run.
CHEAP = {"./inv --list", "./inv docs.check", "./inv tools.list", "./inv doctor --help", "./inv deploy --help"}


def test_every_line_and_link_holds(c: Context) -> None:
    seen, problems = docs.check(c)
    assert problems == []
    assert seen >= 20


def test_the_check_sees_wrong_lines_and_dead_links(c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    git.ask(c, "init", "--quiet", repo=tmp_path)
    text = """Say `./inv bulid` or, better:

    ```sh
$ ./inv deploy --env staging   # right
./inv deploy --to staging
echo ./inv is not the command here
    ```
`./inv` [here](there.md) [up](https://example.com) [in](page.md#part)
"""
    (tmp_path / "page.md").write_text(text)
    seen, problems = docs.check(c)
    assert seen == 4
    assert [(one.number, one.text) for one in problems] == [
        (1, "./inv bulid"),
        (5, "./inv deploy --to staging"),
        (8, "there.md"),
    ]


def documented() -> set[str]:
    found = {path: docs.lines(path.name, path.read_text()) for path in docs.documents(Context())}
    return {line.text for lines in found.values() for line in lines}


@pytest.mark.slow
@pytest.mark.parametrize("line", sorted(CHEAP & documented()))
def test_cheap_lines_really_run(line: str) -> None:
    done = subprocess.run(["sh", "-c", line], cwd=paths.ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def constants(file: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module with their lines; $X stands for what is filled in."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(p.value) if isinstance(p, ast.Constant) else "$X" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def hints() -> Iterator[tuple[str, str]]:
    """Every next command that a message can show: a string that starts with it, up to the first word of prose."""
    for file in sorted((paths.ROOT / "tasks").rglob("*.py")):
        for line, text in constants(file):
            if text.startswith("./inv ") and text != "./inv $X":
                yield f"{file.relative_to(paths.ROOT)}:{line}", re.split(r"[,;(]| when | and ", text)[0].strip()


@pytest.mark.slow
def test_every_next_command_that_a_message_names_exists() -> None:
    known = settings.known()
    found = list(hints())
    assert len(found) > 20
    # A filled-in part of a name can be any task of that collection.
    lines = [(where, re.sub(r"(?<=\bscan)\.\$X", ".secrets", line)) for where, line in found]
    assert [(where, line, why) for where, line in lines if (why := commands.wrong(line, known))] == []
