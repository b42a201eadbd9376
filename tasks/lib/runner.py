"""The one way external programs are run: argv list, echo, redaction, deadline and a named failure."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import CommandTimedOut, UnexpectedExit
from invoke.runners import Result

from tasks.lib import terminal
from tasks.lib.errors import Code, Stop

INTERRUPTED = (-2, 130)  # what SIGINT makes of a program, and of the shell around it
MISSING = 127  # what a shell answers for a program that it cannot find
KILLED = (134, 137, 139, 143)  # what a shell makes of SIGABRT, SIGKILL, SIGSEGV and SIGTERM
VARIABLE = re.compile(r"[A-Z_]+=")
SECRET_NAME = re.compile(r"(TOKEN|PASSWORD|PASSWD|SECRET|API_KEY|ACCESS_KEY|PRIVATE_KEY|WEBHOOK)", re.IGNORECASE)
URL_LOGIN = re.compile(r"(?<=://)[^/@\s]+:[^/@\s]+(?=@)")
TAIL_LINES = 12


class AtOnce(io.StringIO):
    """Text for a program's stdin, handed over whole: Invoke asks for one character at a time and sleeps after each."""

    def read(self, size: int | None = -1, /) -> str:
        return super().read()


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """The text without the given secrets, without the values of secret-looking variables and without URL logins."""
    from_environment = (v for k, v in os.environ.items() if SECRET_NAME.search(k) and len(v) >= 6)
    for secret in sorted({*secrets, *from_environment} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return URL_LOGIN.sub("***", text)


def tail(result: Result, secrets: Sequence[str] = ()) -> str:
    """The last lines that a failed program printed, redacted; stderr if it wrote there, else stdout."""
    lines = (result.stderr.strip() or result.stdout.strip()).splitlines()[-TAIL_LINES:]
    return redact("\n".join(f"    {line[:400]}" for line in lines), secrets)


def run(
    c: Context,
    argv: Sequence[object],
    *,
    step: str,
    timeout: float,
    fix: str = "",
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    secrets: Sequence[str] = (),
    cwd: Path | None = None,
    ok: Collection[int] = (0,),
    code: Code = Code.COULD_NOT_RUN,
    quiet: bool = False,
    show: bool = False,
) -> Result:
    """Runs one program to its end and returns its result.

    argv: the words, strings and paths. step: what the operator would call it. timeout: seconds. fix: the next
    command when it fails. env: added to the environment. stdin: text, the place for secrets. secrets: values never
    to be shown. ok: exit codes that are no failure. quiet: a query, echoed only with -e and run also under --dry.
    show: its output is streamed.
    Raises Stop with `code` when the program is missing, too slow, or ends with another exit code.
    """
    words = [str(word) for word in argv]
    if cwd is not None:
        words = ["env", f"--chdir={cwd}", *words]
    line = shlex.join(words)
    if not quiet or c.config.run.echo:
        terminal.command(redact(line, secrets))
    # Invoke's own echo (-e) would show the line twice, and unredacted.
    options: dict[str, object] = {"hide": not show, "warn": True, "timeout": timeout, "echo": False}
    options["in_stream"] = AtOnce(stdin) if stdin is not None else False
    # exec: the deadline ends the program itself and not a shell around it. Without text its stdin ends at once: a
    # program that asks for something fails instead of waiting for nobody.
    call = f"exec {line}" if stdin is not None else f"exec {line} </dev/null"
    if env:
        options["env"] = dict(env)
    if quiet:
        options["dry"] = False
    try:
        result = c.run(call, **options)
    except CommandTimedOut as error:
        raise Stop(f"{step}: no answer from {words[0]} within {timeout:g} s", code, fix) from error
    except UnexpectedExit as error:
        result = error.result
    if os.environ.get("SLIPWAY_TRACE"):
        from tasks.lib import trace

        trace.call([redact(word, secrets) for word in words], result.exited)
    if result.exited in ok:
        return result
    if result.exited in INTERRUPTED:  # Ctrl-C reached the program; Invoke only passes it on
        raise KeyboardInterrupt
    name = _program(words)
    if result.exited == MISSING:
        raise Stop(f"{step}: the program {name} was not found", code, fix or "./inv doctor")
    detail = tail(result, secrets)
    raise Stop(f"{step}: {name} {ending(result.exited)}" + (f"\n{detail}" if detail else ""), code, fix)


def ending(exited: int) -> str:
    """How a program ended, in words."""
    signal = -exited if exited < 0 else exited - 128 if exited in KILLED else 0
    return f"was killed (signal {signal})" if signal else f"ended with exit code {exited}"


def _program(words: Sequence[str]) -> str:
    """The name of the program that a line runs, also through env."""
    rest = iter(words)
    for word in rest:
        if word == "-u":
            next(rest, "")
        elif word != "env" and not word.startswith("--chdir=") and not VARIABLE.match(word):
            return Path(word).name
    return words[0]
