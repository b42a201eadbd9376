"""Output: plain lines where nobody looks, and questions that only a person at a terminal can answer."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.lib import paths, terminal
from tasks.lib.errors import Code, Stop

ASK = "from tasks.lib import terminal\nterminal.confirm('Deploy?')\nprint('agreed')"


@pytest.fixture(autouse=True)
def fresh_console() -> None:
    """The console remembers the stream that it was made with; every test has another one."""
    terminal._console.cache_clear()


def test_text_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[bold]file.py:100: [red] " + "x" * 300
    terminal.say(text)
    terminal.table("", ["what"], [[text]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == text
    assert "".join(line.strip() for line in lines[2:]).startswith("[bold]file.py:100: [red]")


def test_a_step_says_its_beginning_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.step("Build") as note:
        note("(half)")
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Build ..."
    assert last.startswith("Build: done in ")


def test_a_failed_step_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stop), terminal.step("Build"):
        raise Stop("no")
    assert capsys.readouterr().out.splitlines()[1].startswith("Build: failed after ")


def test_a_long_step_is_heard_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "HEARTBEAT", 0.05)
    with terminal.step("Wait") as note:
        note("(1 of 2)")
        time.sleep(0.3)
    assert "Wait (1 of 2) ... 0." in capsys.readouterr().out


def test_without_a_terminal_nothing_is_agreed(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.confirm("Deploy?", yes=True)
    with pytest.raises(Stop, match=r"Deploy\? There is no terminal to ask on; add --yes") as caught:
        terminal.confirm("Deploy?")
    assert caught.value.code == Code.USAGE


@pytest.mark.parametrize(("answer", "agreed"), [("y", True), ("Yes", True), ("", False), ("n", False), ("ja", False)])
def test_at_a_terminal_the_answer_counts_and_no_is_the_default(answer: str, agreed: bool, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ASK], cwd=paths.ROOT, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    _, errors = process.communicate(timeout=60)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "Deploy? [y/N]" in shown
    assert ("agreed" in shown.replace("Not agreed", "")) is agreed
    assert ("Not agreed; nothing was changed" in errors) is not agreed
