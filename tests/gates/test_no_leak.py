"""The value of a secret that a gate found is nowhere: not in reports, caches, leftovers or what is printed."""

from __future__ import annotations

import gzip
import secrets
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import gates, paths, terminal
from tasks.lib.errors import Stop
from tasks.lib.gates import code_gate, gitlab, reports, secrets_gate, store
from tasks.lib.gates.models import Outcome
from tasks.lib.settings import Environment
from tests.gates.conftest import Repo
from tests.gates.test_converters import forms
from tests.gates.test_secrets import key_pair, login

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("programs")]
Use = Callable[[str, str], None]


def contents(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file below a folder as text, and unpacked where it is packed as Git packs its objects."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            yield path, data.decode("latin-1")
            for unpack in (zlib.decompress, gzip.decompress):
                try:
                    yield path, unpack(data).decode("latin-1")
                except (zlib.error, OSError, EOFError):
                    continue


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that a run may write to, all of the test's own."""
    folders = {name: tmp_path / name for name in ("cache", "tmp", "home")}
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folders["cache"]))
    monkeypatch.setenv("TMPDIR", str(folders["tmp"]))
    monkeypatch.setenv("HOME", str(folders["home"]))
    monkeypatch.setattr("tempfile.tempdir", None)
    return [*folders.values(), paths.work()]


def values(text: str) -> list[str]:
    """What must not be seen of a planted text."""
    if " = " in text:
        return [line.partition(" = ")[2] for line in text.splitlines()]
    return [text.strip(), text.split(":")[2].partition("@")[0]]


@pytest.mark.parametrize(
    ("make", "broken"),
    [(login, ""), (key_pair, ""), (login, '{program} "$@"; exit 5'), (key_pair, '{program} "$@" 2>&1')],
)
def test_the_value_is_nowhere(
    c: Context,
    env: Environment,
    repo: Repo,
    elsewhere: list[Path],
    programs: dict[str, Path],
    use: Use,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    make: Callable[[], str],
    broken: str,
) -> None:
    monkeypatch.setattr(paths, "ROOT", repo.path)
    text = make()
    sha = repo.commit({"app/settings.ini": text, "other.txt": "harmless"}, message="settings")
    if broken:
        use("trufflehog", broken.format(program=programs["trufflehog"]))
    c.config.run.echo = True
    terminal._console.cache_clear()
    report = secrets_gate.check(c, env, sha, repo.path)
    assert report.outcome is (Outcome.COULD_NOT_RUN if broken else Outcome.FINDINGS), report.reason
    gitlab.write(report)
    with pytest.raises(Stop) as stop:
        gates.verdict(c, env, sha, ("secrets",))
    written = {path.name for path in store.folder(sha).iterdir()}
    assert written >= {
        "secrets.json",
        reports.DATA,
        reports.JUNIT,
        reports.SARIF,
        reports.PAGE,
        gitlab.NAMES["secrets"],
    }
    printed = "".join(capfd.readouterr()) + str(stop.value)
    looked_for = [form for value in values(text) for form in forms(value)]
    places = [("output", printed), *(pair for folder in elsewhere for pair in contents(folder))]
    assert len(places) > 6
    assert [(str(where), form) for where, shown in places for form in looked_for if form in shown] == []
    assert list((elsewhere[1]).iterdir()) == []


def test_a_password_in_the_code_is_found_and_not_quoted(
    c: Context, env: Environment, repo: Repo, elsewhere: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    value = secrets.token_hex(8)
    code = f"password = '{value}1'\nconnect(password='{value}2')\ndef login(password='{value}3'): ...\n"
    report = code_gate.check(c, env, repo.commit({"a.py": code, "b.sh": f"password={value}\n"}), repo.path)
    assert {finding.id for finding in report.findings} >= {"B105", "B106", "B107"}, report.reason
    gitlab.write(report)
    places = [("output", "".join(capfd.readouterr())), *(pair for folder in elsewhere for pair in contents(folder))]
    assert [str(where) for where, shown in places if value in shown] == []


def test_the_search_itself_sees_a_value(tmp_path: Path) -> None:
    value = login()
    (tmp_path / "a").write_bytes(zlib.compress(value.encode()))
    (tmp_path / "b").write_text(forms(f"  {value}")[2])
    seen = [path.name for path, shown in contents(tmp_path) for form in forms(value) if form in shown]
    assert set(seen) == {"a", "b"}
