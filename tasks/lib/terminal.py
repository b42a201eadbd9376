"""The only module that prints: rich on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from tasks.lib.errors import Code, Stop

if TYPE_CHECKING:
    from rich.console import Console

HEARTBEAT = 15.0  # seconds between "still at it" lines where no spinner can turn


@lru_cache(maxsize=1)
def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, emoji=False)


def is_terminal() -> bool:
    """Whether a person looks at the output and can be asked something."""
    return sys.stdout.isatty() and sys.stdin is not None and sys.stdin.isatty()


def say(text: str = "") -> None:
    """Prints one line as it is; square brackets are text, not markup."""
    _console().print(text, markup=False)


def raw(text: str) -> None:
    """Prints control sequences unchanged (section marks of a CI log)."""
    print(text, flush=True)


def command(text: str) -> None:
    """Shows the command that is about to run (already redacted)."""
    _console().print(f"$ {text}", style="dim", markup=False)


def warn(text: str) -> None:
    """Prints a line that the reader should not miss."""
    _console().print(f"warning: {text}", style="yellow", markup=False)


def good(text: str) -> None:
    """Prints the line that says something ended well."""
    _console().print(text, style="green", markup=False)


def bad(text: str) -> None:
    """Prints the line that says something ended badly."""
    _console().print(text, style="red", markup=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints rows under columns; full width in a log, so that no cell is cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(str(cell)) for cell in row))
    if _console().is_terminal:
        _console().print(grid)
    else:
        Console(width=200, highlight=False, no_color=True).print(grid)


def page(markdown: str) -> None:
    """Prints a page of Markdown: laid out on a terminal, as it is everywhere else."""
    if not _console().is_terminal:
        raw(markdown.rstrip())
        return
    from rich.console import ConsoleOptions, RenderResult
    from rich.markdown import CodeBlock, Markdown
    from rich.text import Text

    class Lines(CodeBlock):
        """Rich would fill and wrap lines that are there to be copied."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            yield Text(str(self.text).rstrip(), style="cyan", no_wrap=True, overflow="ignore")

    class Page(Markdown):
        elements = {**Markdown.elements, "fence": Lines, "code_block": Lines}  # noqa: RUF012 - as Rich declares it

    _console().print(Page(markdown, hyperlinks=False), soft_wrap=False, crop=False)


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Shows that a step runs and how many seconds it took; yields a function that changes the detail shown."""
    began = time.monotonic()
    detail = ""

    def seconds() -> str:
        return f"{time.monotonic() - began:.1f} s"

    def line() -> str:
        return f"{title} {detail}".rstrip()

    if _console().is_terminal and threading.current_thread() is threading.main_thread():
        with _console().status(line()) as status:

            def update(text: str) -> None:
                nonlocal detail
                detail = text
                status.update(line())

            try:
                yield update
            except BaseException:
                status.stop()
                bad(f"✗ {title}  failed after {seconds()}")
                raise
        say(f"✓ {title}  {seconds()}")
        return

    say(f"{title} ...")
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT):
            say(f"{line()} ... {seconds()}")

    def note(text: str) -> None:
        nonlocal detail
        detail = text

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield note
    except BaseException:
        ended.set()
        say(f"{title}: failed after {seconds()}")
        raise
    ended.set()
    say(f"{title}: done in {seconds()}")


def confirm(question: str, yes: bool = False) -> None:
    """Asks before something outside changes; the default answer is No.

    yes: answered beforehand with --yes. Raises Stop: usage (2) without a terminal and --yes, refused (5) on No.
    """
    if yes:
        return
    if not is_terminal():
        raise Stop(f"{question} There is no terminal to ask on; add --yes to agree", Code.USAGE)
    if _answer(f"{question} [y/N] ").lower() not in ("y", "yes"):
        raise Stop("Not agreed; nothing was changed", Code.REFUSED)


def ask(question: str, default: str = "") -> str:
    """A person's answer on a terminal, stripped; an empty one is the default. Raises Stop (2) without a terminal."""
    if not is_terminal():
        raise Stop(f"{question}? There is no terminal to ask on", Code.USAGE)
    return _answer(f"{question}{f' [{default}]' if default else ''}: ") or default


def _answer(prompt: str) -> str:
    try:
        return _console().input(prompt, markup=False).strip()
    except EOFError:  # Ctrl-D
        return ""
