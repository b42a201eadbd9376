"""Building for real: tiny Go mains, killed builds, two at once, no network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.paths import ROOT
from tasks.lib.tools import find, gobuild, path, paths, pins
from tasks.lib.tools.plan import Clock
from tests.lib.own_tools import GO_ROW, OwnTools, go_rows, own

__all__ = ["own"]

PATIENCE = 60.0


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


class Gate:
    """Go runs its compiler and linker through a script that stops at the linker until the gate is open."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open_file, self.log = folder / "open", folder / "linked"
        script = folder / "through-the-gate"
        script.write_text(
            textwrap.dedent(f"""\
                #!/bin/sh
                case "$1 $*" in
                */link\\ *-V=full*) ;;
                */link\\ *)
                    echo x >>{self.log}
                    while [ ! -e {self.open_file} ]; do sleep 0.05; done ;;
                esac
                exec "$@"
                """)
        )
        script.chmod(0o755)
        monkeypatch.setenv("GOFLAGS", f"-toolexec={script}")

    def open(self) -> None:
        self.open_file.touch()

    def close(self) -> None:
        self.open_file.unlink()

    def links(self) -> int:
        return self.log.read_text().count("x") if self.log.exists() else 0


def elsewhere(own: OwnTools, *names: str) -> subprocess.Popen[str]:
    """Another process that installs the programs from the same pins into the same cache."""
    program = f"""
        import pathlib, sys
        from invoke.context import Context
        from tasks.lib.tools import paths, pins
        pins.file = lambda: pathlib.Path({str(own.folder / "pins.yaml")!r})
        c = Context()
        c.config.run.in_stream = False
        print(*paths(c, {list(names)!r}).values(), flush=True)
    """
    return subprocess.Popen(
        [sys.executable, "-u", "-c", textwrap.dedent(program)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def test_builds_what_is_missing_and_then_finds_it(own: OwnTools, c: Context) -> None:
    own.go_module(mains=("quick", "other"))
    own.pins(go_rows("quick", "other"))
    found = paths(c, ["quick", "other"])
    said = subprocess.run([found["quick"]], capture_output=True, text=True, check=True)
    assert said.stderr == "quick 1.2.3\n"
    built = found["quick"].stat().st_mtime_ns
    assert paths(c, ["quick"])["quick"].stat().st_mtime_ns == built
    assert list(found["quick"].parent.iterdir()) == [found["quick"]]


def test_changed_pin_is_built_anew_and_the_old_one_stays(own: OwnTools, c: Context) -> None:
    module = own.go_module()
    own.pins(go_rows("quick"))
    old = path(c, "quick")
    (module / "quick" / "main.go").write_text('package main\nfunc main() { println("newer") }\n')
    new = path(c, "quick")
    assert new != old
    assert subprocess.run([new], capture_output=True, text=True, check=True).stderr == "newer\n"
    assert old.exists()


def test_works_without_home_and_whatever_goflags_say(
    own: OwnTools, c: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    own.go_module()
    own.pins(go_rows("quick"))
    assert path(c, "quick").exists()
    assert gobuild.environment()["HOME"]


@pytest.mark.slow
def test_killed_build_goes_on_where_it_was(own: OwnTools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own.go_module(mains=("first", "second"))
    own.pins(go_rows("first", "second"))
    gate = Gate(tmp_path, monkeypatch)
    gate.open()
    with elsewhere(own, "first") as done:
        assert done.wait(PATIENCE) == 0
    first, second = pins.target(pins.pin("first")), pins.target(pins.pin("second"))
    built = first.stat().st_mtime_ns
    gate.close()
    with elsewhere(own, "first", "second") as killed:
        wait_for(lambda: gate.links() == 2)
        os.killpg(killed.pid, signal.SIGKILL)
    assert not second.exists()
    gate.open()
    with elsewhere(own, "first", "second") as again:
        assert again.wait(PATIENCE) == 0
    assert first.stat().st_mtime_ns == built
    assert subprocess.run([second], capture_output=True, text=True, check=True).stderr == "second 1.2.3\n"
    assert list(second.parent.iterdir()) == [second]
    assert gate.links() == 3


@pytest.mark.slow
def test_two_installs_at_once_wait_for_one_another_and_say_so(
    own: OwnTools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own.go_module()
    own.pins(go_rows("quick"))
    gate = Gate(tmp_path, monkeypatch)
    with elsewhere(own, "quick") as one:
        wait_for(lambda: gate.links() == 1)
        with elsewhere(own, "quick") as two:
            assert two.stdout is not None
            first_line = two.stdout.readline()
            gate.open()
            assert two.wait(PATIENCE) == 0
            rest = two.stdout.read()
        assert one.wait(PATIENCE) == 0
    assert "waiting for the installation of external programs (Install quick 1.2.3 (1 of 1))" in first_line
    assert rest.strip() == str(pins.target(pins.pin("quick")))
    assert gate.links() == 1, "the second one built again what the first had built"


@pytest.mark.parametrize("proxy", ["off", "http://127.0.0.1:9"])
def test_go_without_a_network_is_one_sentence(
    own: OwnTools, c: Context, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    own.go_module(require="example.invalid/nowhere")
    own.pins(go_rows("quick"))
    monkeypatch.setenv("GOPROXY", proxy)
    monkeypatch.setenv("GONOSUMDB", "*")
    with pytest.raises(Stop) as stopped:
        path(c, "quick")
    assert stopped.value.code == Code.COULD_NOT_RUN
    assert stopped.value.sentence.startswith("quick 1.2.3 cannot be installed: the Go module proxy (GOPROXY) is out of")
    assert "\n" not in stopped.value.sentence
    assert stopped.value.fix == "./inv tools.install --only quick"
    assert not pins.target(pins.pin("quick")).exists()


def test_a_main_that_does_not_compile_is_one_sentence(own: OwnTools, c: Context) -> None:
    module = own.go_module()
    own.pins(go_rows("quick"))
    (module / "quick" / "main.go").write_text("package main\nfunc main() { undefined() }\n")
    with pytest.raises(Stop, match="undefined: undefined") as stopped:
        path(c, "quick")
    assert stopped.value.code == Code.COULD_NOT_RUN
    assert not pins.home(pins.pin("quick")).exists()


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("module mine\n\ngo 1.99\n", "requires go >= 1.99"),
        ("module mine\n\ngo 1.24\n", "import lookup disabled by -mod=readonly"),
    ],
)
def test_go_fetches_no_toolchain_and_changes_no_lock(
    own: OwnTools, c: Context, monkeypatch: pytest.MonkeyPatch, manifest: str, said: str
) -> None:
    module = own.go_module(require="example.invalid/nowhere")
    own.pins(go_rows("quick"))
    (module / "go.mod").write_text(manifest)
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOTOOLCHAIN", "auto")
    with pytest.raises(Stop, match=said):
        path(c, "quick")
    assert (module / "go.mod").read_text() == manifest


def test_estimate_counts_the_first_of_a_group_alone_and_follows_the_machine(own: OwnTools) -> None:
    own.go_module(mains=("one", "two"))
    own.pins(
        go_rows("one", "two").replace("needed_for: tests\n", "needed_for: tests\n      seconds: 10\n      alone: 100\n")
    )
    clock = Clock([pins.pin("one"), pins.pin("two")])
    assert clock.words(0) == "about 2 min"
    clock.finished(0, 1, 50.0)
    assert clock.left(1) == pytest.approx(5.0)
    pins.home(pins.pin("one")).mkdir(parents=True)
    assert Clock([pins.pin("two")]).left(0) == 10.0


def test_sources_of_a_module_that_is_not_pinned_are_refused(own: OwnTools, c: Context) -> None:
    own.go_module()
    own.pins(go_rows("quick"))
    with pytest.raises(Stop, match=r"example.invalid/other is not pinned .* pinned: mine"):
        gobuild.source_dir(c, "example.invalid/other")


@pytest.mark.slow
def test_sources_of_a_pinned_module_are_a_folder(c: Context) -> None:
    assert (gobuild.source_dir(c, "sigs.k8s.io/metrics-server") / "manifests" / "base" / "deployment.yaml").is_file()


OURS = [row for row in pins.read(pins.file()).values() if hasattr(row, "version") and row.version_args]


@pytest.mark.parametrize("row", OURS, ids=lambda row: row.name)
@pytest.mark.slow
def test_what_was_installed_says_the_pinned_version(c: Context, row: pins.AnyPin) -> None:
    if not pins.target(row).exists():
        pytest.skip("not installed by us on this machine")
    assert find.version_of(c, pins.target(row), row.version_args) == getattr(row, "version", "")


def test_a_compiler_that_outlived_its_caller_cannot_spoil_the_next_build(own: OwnTools, c: Context) -> None:
    own.go_module()
    own.pins(go_rows("quick"))
    left = own.cache / "tools" / ".build-1"
    left.mkdir(parents=True)
    (left / "quick").write_text("half")
    assert list(path(c, "quick").parent.iterdir()) == [path(c, "quick")]
    assert not list((own.cache / "tools").glob(".build-*"))


def test_programs_of_one_group_are_built_by_one_call(
    own: OwnTools, c: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    own.go_module(mains=("one", "two"))
    own.pins(
        go_rows("one", "two").replace("package: ./one", "package: ./one\n      ldflags: -X main.says=1")
        + GO_ROW.format(name="third").replace("package: ./third", "package: .\n      env: {GOFLAGS: -tags=x}")
    )
    module = own.folder / "mine"
    for name in ("one", "two", "."):
        (module / name / "main.go").write_text('package main\nvar says = "0"\nfunc main() { println(says) }\n')
    found = paths(c, ["one", "two", "third"])
    said = capsys.readouterr().out
    assert "Install one 1.2.3, two 1.2.3 (1 to 2 of 3): done in" in said
    assert "Install third 1.2.3 (3 of 3): done in" in said, "another environment needs a call of its own"
    printed = {name: subprocess.run([file], capture_output=True, text=True).stderr for name, file in found.items()}
    assert printed == {"one": "1\n", "two": "0\n", "third": "0\n"}, "a linker flag went to another program than its own"


def test_a_long_batch_is_told_in_a_short_line(own: OwnTools, c: Context, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["one", "two", "three", "four"]
    own.go_module(mains=tuple(names))
    own.pins(go_rows(*names))
    paths(c, names)
    assert "Install one 1.2.3, two 1.2.3, 2 more (1 to 4 of 4): done in" in capsys.readouterr().out
