"""The one runner with real programs: what reaches them, what is shown, and how each way to fail ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.runner import redact, run

STRANGE = """a  b 'c' "d" $HOME `id` ; * \\ ü"""


def sh(c: Context, script: str, **options: object) -> object:
    return run(c, ["sh", "-c", script], step="try", **{"timeout": 20, **options})  # type: ignore[arg-type]


def test_words_arrive_as_they_are(c: Context, tmp_path: Path) -> None:
    place = tmp_path / "a 'strange' $folder"
    place.mkdir()
    done = run(c, ["printf", "%s|", STRANGE, place], step="try", timeout=20)
    assert done.stdout == f"{STRANGE}|{place}|"
    assert run(c, ["pwd"], step="try", timeout=20, cwd=place).stdout == f"{place}\n"


def test_environment_and_standard_input_reach_the_program(c: Context) -> None:
    done = run(c, ["sh", "-c", 'echo "$WORD"; cat'], step="try", timeout=20, env={"WORD": STRANGE}, stdin="from\nhere")
    assert done.stdout == f"{STRANGE}\nfrom\nhere"


def test_without_input_there_is_nothing_to_wait_for(c: Context) -> None:
    assert run(c, ["cat"], step="try", timeout=20).stdout == ""


def test_a_failure_names_step_program_code_and_last_lines(c: Context) -> None:
    with pytest.raises(Stop) as caught:
        sh(c, "echo unrelated; for i in $(seq 30); do echo line $i >&2; done; exit 9", fix="./inv doctor")
    assert caught.value.code == Code.COULD_NOT_RUN
    assert caught.value.sentence.startswith("try: sh ended with exit code 9\n")
    assert "line 30" in caught.value.sentence
    assert "line 18\n" not in caught.value.sentence
    assert "unrelated" not in caught.value.sentence
    assert str(caught.value.message).endswith("\n  next: ./inv doctor")


def test_accepted_codes_are_results(c: Context) -> None:
    assert sh(c, "exit 3", ok=(0, 3)).exited == 3  # type: ignore[attr-defined]
    with pytest.raises(Stop) as caught:
        sh(c, "exit 4", ok=(0, 3), code=Code.UNEXPECTED)
    assert caught.value.code == Code.UNEXPECTED


def test_a_missing_program_is_named(c: Context, tmp_path: Path) -> None:
    for options in ({}, {"cwd": tmp_path}):
        with pytest.raises(Stop, match="try: the program no-such-program was not found") as caught:
            run(c, ["no-such-program", "--flag"], step="try", timeout=20, **options)  # type: ignore[arg-type]
        assert caught.value.code == Code.COULD_NOT_RUN
        assert caught.value.fix == "./inv doctor"


@pytest.mark.slow
def test_a_deadline_ends_the_program(c: Context, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Stop, match=r"try: no answer from sleep within 0\.5 s"):
        run(c, ["sleep", "30"], step="try", timeout=0.5)
    assert time.monotonic() - began < 10


def test_the_command_is_shown_without_its_secrets(
    c: Context, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "tok-123456")
    words = ["echo", "pass word", "tok-123456", "https://ann:pw@example.com/x"]
    run(c, words, step="try", timeout=20, secrets=["pass word"])
    shown = capsys.readouterr().out
    assert shown.startswith("$ echo ")
    for secret in ("pass word", "tok-123456", "ann:pw"):
        assert secret not in shown
    assert "https://***@example.com/x" in shown


def test_a_failure_shows_no_secret(c: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "hunter2hunter2")
    with pytest.raises(Stop) as caught:
        sh(c, 'echo "login $WORD and $REGISTRY_PASSWORD" >&2; exit 1', env={"WORD": "s3cr3t"}, secrets=["s3cr3t"])
    assert "login *** and ***" in caught.value.sentence


def test_the_longest_secret_goes_first() -> None:
    assert redact("abcdef abc", ["abc", "abcdef", ""]) == "*** ***"


def test_a_query_is_silent_and_runs_also_in_a_dry_run(c: Context, capsys: pytest.CaptureFixture[str]) -> None:
    c.config.run.dry = True
    assert run(c, ["echo", "asked"], step="try", timeout=20, quiet=True).stdout == "asked\n"
    assert capsys.readouterr().out == ""
    assert run(c, ["echo", "acted"], step="try", timeout=20).stdout == ""


def test_shown_output_streams(c: Context, capsys: pytest.CaptureFixture[str]) -> None:
    run(c, ["echo", "seen"], step="try", timeout=20, show=True)
    assert "seen\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("echo", "quiet", "shown"), [(False, False, 1), (True, False, 1), (True, True, 1), (False, True, 0)]
)
def test_a_command_is_shown_once_and_redacted(
    c: Context, capfd: pytest.CaptureFixture[str], echo: bool, quiet: bool, shown: int
) -> None:
    c.config.run.echo = echo
    run(c, ["true", "hunter2-hunter2"], step="try", timeout=20, quiet=quiet, secrets=["hunter2-hunter2"])
    out = capfd.readouterr().out
    assert out.count("true ***") == shown
    assert "hunter2" not in out
