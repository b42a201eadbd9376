"""Programs from PyPI and npm: a wheel made on the spot, installed by the real pip."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.tools import path, pins
from tests.lib.own_tools import OwnTools, own

__all__ = ["own"]


def wheel(folder: Path) -> str:
    """A wheel that carries a program; returns its requirement with hash."""
    file = folder / "carrier-1.2.3-py3-none-any.whl"
    info = "carrier-1.2.3.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("carrier/bin/tool", "#!/bin/sh\necho tool 1.2.3\n")
        archive.writestr("carrier/__main__.py", "import sys\nprint('module', *sys.argv[1:])\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.2.3\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return f"carrier==1.2.3 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@pytest.fixture
def carrier(own: OwnTools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> OwnTools:
    (own.folder / "carrier").mkdir()
    (own.folder / "carrier" / "requirements.txt").write_text(wheel(tmp_path))
    own.pins("""
        - {name: tool, how: pypi, group: carrier, version: 1.2.3, file: carrier/bin/tool, needed_for: tests}
        - {name: module, how: pypi, group: carrier, version: 1.2.3, module: carrier, needed_for: tests}
        - {name: py, how: pypi, group: carrier, version: 1.2.3, python: true, on_path: {use: false}, needed_for: tests}
    """)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return own


@pytest.mark.slow
def test_wheel_with_a_program_is_unpacked(carrier: OwnTools, c: Context) -> None:
    assert subprocess.run([path(c, "tool")], capture_output=True, text=True, check=True).stdout == "tool 1.2.3\n"


@pytest.mark.slow
def test_module_runs_in_a_venv_of_its_own(carrier: OwnTools, c: Context, tmp_path: Path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(path(c, "module"))
    said = subprocess.run([link, "a b"], capture_output=True, text=True, check=True).stdout
    assert said == "module a b\n"


@pytest.mark.slow
def test_a_python_with_the_packages_runs_scripts_of_ours(carrier: OwnTools, c: Context, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import carrier, sys\nprint('script', sys.prefix, *sys.argv[1:])\n")
    said = subprocess.run([path(c, "py"), script, "a b"], capture_output=True, text=True, check=True).stdout
    assert said == f"script {pins.home(pins.pin('py'))} a b\n"


def test_what_this_python_is_too_old_for_is_told_and_left_out_of_all(carrier: OwnTools, c: Context) -> None:
    carrier.pins("""
        - {name: new, how: pypi, group: carrier, version: 1.2.3, python: true, needs_python: '9.9', needed_for: tests}
        - {name: old, how: pypi, group: carrier, version: 1.2.3, python: true, needs_python: '3.10', needed_for: tests}
    """)
    with pytest.raises(Stop, match=r"new needs Python 9\.9 or newer, this is 3\.") as stopped:
        path(c, "new")
    assert stopped.value.code == Code.COULD_NOT_RUN
    assert [row.name for row in pins.chosen()] == ["old"]
    assert [row.name for row in pins.chosen("new")] == ["new"]


@pytest.mark.slow
def test_wheel_install_starts_anew_where_a_killed_one_left_files(carrier: OwnTools, c: Context) -> None:
    home = pins.home(pins.pin("tool"))
    left = home.with_name(f".{home.name}.part") / "carrier"
    left.mkdir(parents=True)
    (left / "stale").write_text("")
    path(c, "tool")
    assert (home / "carrier" / "bin" / "tool").exists()
    assert not (home / "carrier" / "stale").exists()
    assert list(home.parent.iterdir()) == [home]


@pytest.mark.slow
def test_wheel_without_a_hash_is_not_installed(carrier: OwnTools, c: Context) -> None:
    (carrier.folder / "carrier" / "requirements.txt").write_text("carrier==1.2.3\n")
    with pytest.raises(Stop, match=r"(?i)hashes are required"):
        path(c, "tool")


@pytest.mark.slow
def test_wheel_with_another_hash_is_not_installed(carrier: OwnTools, c: Context) -> None:
    lock = carrier.folder / "carrier" / "requirements.txt"
    wrong = base64.b16encode(b"\0" * 32).decode()
    lock.write_text(f"carrier==1.2.3 --hash=sha256:{wrong}\n")
    with pytest.raises(Stop, match=r"(?i)hash"):
        path(c, "tool")
    assert not pins.home(pins.pin("tool")).exists()


@pytest.mark.slow
def test_wheel_without_a_network_is_one_sentence(
    carrier: OwnTools, c: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(Stop, match=r"tool 1.2.3 cannot be installed: the Python package index .* out of reach") as stop:
        path(c, "tool")
    assert stop.value.code == Code.COULD_NOT_RUN


@pytest.mark.slow
def test_node_program_is_installed_and_runs_although_an_old_node_is_on_path(c: Context) -> None:
    said = subprocess.run([path(c, "gitlab-ci-local"), "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "4.75.1"
