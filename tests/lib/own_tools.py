"""A small tools/ folder of a test's own: Go mains that compile in a second, scripts that pose as programs."""

from __future__ import annotations

import os
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.tools import path, pins


@dataclass(frozen=True)
class OwnTools:
    """folder: stands in for tools/. programs: a folder that is first on PATH. cache: what cache() answers."""

    folder: Path
    programs: Path
    cache: Path

    def pins(self, text: str) -> None:
        (self.folder / "pins.yaml").write_text("programs:\n" + textwrap.indent(textwrap.dedent(text), "  "))

    def on_path(self, name: str, says: str) -> Path:
        """A program on PATH that prints `says`, whatever it is asked."""
        program = self.programs / name
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
        return program

    def in_cache(self, name: str) -> Path:
        """The program as an earlier install would have left it."""
        program = pins.target(pins.pin(name))
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        return program

    def go_module(self, group: str = "mine", mains: tuple[str, ...] = ("quick",), require: str = "") -> Path:
        """A module with one tiny main per name, without a dependency unless `require` names one."""
        module = self.folder / group
        for main in mains:
            (module / main).mkdir(parents=True)
            uses = f'import _ "{require}"\n' if require else ""
            (module / main / "main.go").write_text(f'package main\n{uses}func main() {{ println("{main} 1.2.3") }}\n')
        (module / "go.mod").write_text(
            f"module {group}\n\ngo 1.24\n" + (f"require {require} v1.0.0\n" if require else "")
        )
        no_hash = "h1:" + "A" * 43 + "="
        lines = [f"{require} v1.0.0 {no_hash}", f"{require} v1.0.0/go.mod {no_hash}", ""] if require else []
        (module / "go.sum").write_text("\n".join(lines))
        return module


GO_ROW = """
    - name: {name}
      how: go
      group: mine
      version: 1.2.3
      module: mine
      package: ./{name}
      needed_for: tests
"""
GO = """
    - name: go
      how: pypi
      group: go
      version: 1.26.6
      file: go/bin/go
      on_path: {minimum: '1.24'}
      version_args: [version]
      needed_for: tests
"""


def go_rows(*names: str) -> str:
    """Rows for the mains of go_module, and for Go itself."""
    return GO + "".join(GO_ROW.format(name=name) for name in names)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnTools:
    if shutil.which("go") is None:  # the one that Slipway installs for machines without
        monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{path(Context(), 'go').parent}")
    made = OwnTools(tmp_path / "tools", tmp_path / "bin", tmp_path / "cache" / "slipway")
    for folder in (made.folder / "go", made.programs):
        folder.mkdir(parents=True)
    (made.folder / "go" / "requirements.txt").write_text("")
    monkeypatch.setattr(pins, "file", lambda: made.folder / "pins.yaml")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Go's own caches stay the machine's: their default place follows XDG_CACHE_HOME.
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(Path.home() / ".cache" / "go-build"))
    monkeypatch.setenv("PATH", f"{made.programs}:{os.environ['PATH']}")
    pins.read.cache_clear()
    return made
