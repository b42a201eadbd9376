"""./inv on machines of every kind: each test has a checkout of its own with the real script and a one-package lock."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.lib import paths

TASKS = """
import os, sys
from invoke.tasks import task

@task
def show(c, text=""):
    print(f"{text}|{os.getcwd()}|{sys.prefix}")
"""
# What the script itself starts; a machine without Python has the rest.
PROGRAMS = ("cat", "cksum", "cut", "dirname", "env", "flock", "grep", "mkdir", "readlink", "rm", "sh", "sleep")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one wheel: the installed Invoke, packed again, so that no test needs an index."""
    folder = tmp_path_factory.mktemp("wheels")
    version = importlib.metadata.version("invoke")
    files = importlib.metadata.files("invoke") or []
    with zipfile.ZipFile(folder / f"invoke-{version}-py3-none-any.whl", "w") as wheel:
        for file in files:
            if file.parts[0] != ".." and "__pycache__" not in file.parts:
                wheel.write(str(file.locate()), str(file))
    return folder


@pytest.fixture(scope="session")
def quick_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python whose `-m venv` copies a finished venv: making a new one for every test costs seconds."""
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=120)
    program = folder / "python3"
    copy = f'if [ "$2" = venv ]; then exec cp -a {folder}/venv "$3"; fi'
    program.write_text(f'#!/bin/sh\n{copy}\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return program


@dataclass
class Checkout:
    folder: Path
    wheels: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def lock(self, comment: str = "") -> None:
        wheel = next(self.wheels.iterdir())
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        version = wheel.name.split("-")[1]
        (self.folder / "requirements.txt").write_text(f"# {comment}\ninvoke=={version} --hash=sha256:{digest}\n")

    def start(self, *words: str, at: Path | None = None, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.folder / "inv", *words],
            cwd=at or self.folder,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, at: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, at=at, **env)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture
def checkout(tmp_path: Path, wheels: Path, request: pytest.FixtureRequest) -> Checkout:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("inv", "front_door.py"):
        shutil.copy(paths.ROOT / name, folder)
    (folder / "tasks.py").write_text(TASKS)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "SLIPWAY_", "PYTHON"))}
    env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_COMPILE": "1"}
    made = Checkout(folder, wheels, {**env, "SLIPWAY_PYTHON": sys.executable})
    if request.node.get_closest_marker("slow"):  # the others end before a venv is there
        made.env["SLIPWAY_PYTHON"] = str(request.getfixturevalue("quick_python"))
    made.lock()
    return made


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit 4 and one sentence on stderr, after the line that says what was being done."""
    assert done.returncode == 4, done
    *before, sentence = done.stderr.splitlines()
    assert all("making .venv" in line for line in before), done.stderr
    assert sentence.startswith("inv: ")
    for word in words:
        assert word in sentence
    assert done.stdout == ""


@pytest.mark.slow
def test_it_makes_the_venv_once_and_hands_on_arguments_unchanged(checkout: Checkout, tmp_path: Path) -> None:
    text = """a  b 'c' "d" $HOME * \\ ü"""
    first = checkout.run("show", "--text", text, SLIPWAY_PYTHON=sys.executable)
    assert first.returncode == 0, first.stderr
    assert first.stderr.count("making .venv") == 1
    assert first.stdout.split("|") == [text, str(checkout.folder), f"{checkout.venv}\n"]
    below = checkout.folder / "deep" / "er"
    below.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(checkout.folder / "inv")
    for program in ("../../inv", str(link)):
        again = subprocess.run(
            [program, "show", "--text", text], cwd=below, env=checkout.env, capture_output=True, text=True, timeout=60
        )
        assert again.stdout.split("|") == [text, str(below), f"{checkout.venv}\n"], again.stderr
        assert again.stderr == ""
    for words in (["no-such-task"], ["show", "--no-such-option"], ["--no-such-option"], ["show", "--text"]):
        wrong = checkout.run(*words)
        assert (wrong.returncode, wrong.stdout) == (2, ""), words
        assert wrong.stderr.endswith("\n  next: ./inv --list\n")


@pytest.mark.slow
def test_two_at_once_make_one_venv(checkout: Checkout) -> None:
    both = [checkout.start("show", "--text", name) for name in ("one", "two")]
    done = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], done
    assert [out.split("|")[0] for out, _ in done] == ["one", "two"]
    told = "".join(err for _, err in done)
    assert told.count("making .venv") == 1 + told.count("waiting for it")
    assert told.count("once, about a minute") == 1


@pytest.mark.slow
def test_a_changed_lock_makes_it_again(checkout: Checkout) -> None:
    checkout.run("show")
    checkout.lock("changed")
    again = checkout.run("show")
    assert (again.returncode, again.stderr.count("making .venv")) == (0, 1)


@pytest.mark.slow
def test_a_half_made_venv_is_never_used(checkout: Checkout) -> None:
    half = checkout.venv / "bin"
    half.mkdir(parents=True)
    (half / "python").write_text("#!/bin/sh\necho half-made\n")
    (half / "python").chmod(0o755)
    done = checkout.run("show", "--text", "whole")
    assert done.stdout.startswith("whole|"), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_stopped_half_way_it_starts_again(checkout: Checkout, how: signal.Signals) -> None:
    process = checkout.start("show")
    deadline = time.monotonic() + 60
    while not (checkout.venv / "pyvenv.cfg").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert how == signal.SIGKILL or not checkout.venv.exists()
    again = checkout.run("show", "--text", "again")
    assert again.stdout.startswith("again|"), again.stderr


def bare_machine(folder: Path) -> str:
    """A PATH with the script's own programs and no Python."""
    folder.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


def test_no_python(checkout: Checkout, tmp_path: Path) -> None:
    done = checkout.run("show", PATH=bare_machine(tmp_path / "bin"), SLIPWAY_PYTHON="")
    refused(done, "Python 3.10 or newer is needed", "apt-get install python3")
    assert not checkout.venv.exists()


def fake_python(folder: Path, body: str) -> str:
    """`python3` on a PATH of its own, as an old or a stripped distribution has it."""
    path = bare_machine(folder)
    (folder / "python3").write_text(f'#!/bin/sh\n{body}\nexec {sys.executable} "$@"\n')
    (folder / "python3").chmod(0o755)
    return path


def test_an_old_python_does_not_count(checkout: Checkout, tmp_path: Path) -> None:
    path = fake_python(tmp_path / "bin", 'case "$2" in *version_info*) exit 1;; esac')
    refused(checkout.run("show", PATH=path, SLIPWAY_PYTHON=""), "Python 3.10 or newer is needed")


def test_no_venv_module(checkout: Checkout, tmp_path: Path) -> None:
    # As Debian's python3 without python3-venv: it leaves half of the folder behind.
    half = 'if [ "$2" = venv ]; then mkdir -p "$3/bin"; echo "ensurepip is not available"; exit 1; fi'
    done = checkout.run("show", PATH=fake_python(tmp_path / "bin", half), SLIPWAY_PYTHON="")
    refused(done, "cannot make a venv", "apt-get install python3-venv")
    assert not checkout.venv.exists()


@pytest.mark.slow
def test_no_network(checkout: Checkout, tmp_path: Path) -> None:
    done = checkout.run("show", PIP_FIND_LINKS=str(tmp_path / "nothing"))
    refused(done, "could not be installed", "Could not find a version", "check the network")
    assert not checkout.venv.exists()


@pytest.mark.slow
def test_a_package_that_is_not_the_locked_one_is_refused(checkout: Checkout) -> None:
    lock = checkout.folder / "requirements.txt"
    lock.write_text(lock.read_text().replace("sha256:", "sha256:0")[:-2] + "\n")
    refused(checkout.run("show"), "could not be installed")
    assert not checkout.venv.exists()


@pytest.mark.slow
def test_a_ready_venv_is_used_but_never_changed(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("show")
    ready = checkout.venv
    other = Checkout(tmp_path / "other", checkout.wheels, {**checkout.env, "SLIPWAY_VENV": str(ready)})
    shutil.copytree(checkout.folder, other.folder, ignore=shutil.ignore_patterns(".venv*"))
    assert other.run("show").stdout.endswith(f"|{ready}\n")
    assert not other.venv.exists()
    stamp = (ready / ".slipway-stamp").read_text()
    other.lock("another lock")
    assert other.run("show").stdout.endswith(f"|{other.venv}\n")
    assert (ready / ".slipway-stamp").read_text() == stamp
