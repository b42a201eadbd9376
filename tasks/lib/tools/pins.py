"""tools/pins.yaml, one row per external program, read into a model that forbids unknown keys."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from tasks.lib.errors import Code, Stop
from tasks.lib.paths import ROOT, cache
from tasks.lib.tools import versions

Version = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)*$")]
# PyPI's epoch in front, which no program prints.
WheelVersion = Annotated[str, StringConstraints(pattern=r"^(\d+!)?\d+(\.\d+)*$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnPath(Strict):
    """What is good enough on PATH."""

    use: bool = Field(True, description="false: only our own build will do")
    minimum: Version | Literal[""] = Field("", description="the oldest version that will do")
    below: Version | Literal[""] = Field("", description="the first version that will not do any more")


class Row(Strict):
    """What every program's row says."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="what callers ask for, and the file's name")
    group: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="folder under tools/ that locks it, or a heading")
    needed_for: str = Field(min_length=3, description="what does not work without it")
    on_path: OnPath = OnPath()
    refused: list[Version] = Field(default=[], description="versions that are never run")
    refused_because: str = ""
    also_in: list[Path] = Field(default=[], description="folders searched after PATH")
    version_args: list[str] = Field(default=["--version"], description="empty: the program cannot tell its version")
    seconds: float = Field(0.0, ge=0, description="to install on two cores, after the rows of its group above it")
    alone: float = Field(0.0, ge=0, description="to install when it is the first of its group; default: seconds")

    @property
    def locked_by(self) -> list[Path]:
        """The files whose content decides what is installed."""
        return []


class GoPin(Row):
    """A program that Go builds from the module in tools/<group>."""

    how: Literal["go"]
    version: Version
    module: str
    package: str = Field(description="its main package; ./x is a folder of ours")
    ldflags: str = ""
    env: dict[str, str] = {}

    @property
    def locked_by(self) -> list[Path]:
        folder = folder_of(self)
        ours = sorted((folder / self.package).glob("*.go")) if self.package.startswith(".") else []
        return [folder / "go.mod", folder / "go.sum", *ours]


class PypiPin(Row):
    """A program from a wheel: a module run in a venv of its own, a file that the wheel carries, or a Python with it."""

    how: Literal["pypi"]
    version: WheelVersion
    module: str = Field("", description="run with `python -m` in a venv of its own")
    python: bool = Field(False, description="the program is the Python of that venv, for scripts of ours")
    needs_python: Version | Literal[""] = Field("", description="the oldest Python that takes it, where ours may not")
    file: Path = Field(Path(), description="the program inside the unpacked wheel")

    @property
    def too_new(self) -> bool:
        """Whether this Python is older than the one that it needs."""
        here = ".".join(str(number) for number in sys.version_info[:2])
        return bool(self.needs_python) and not versions.within(here, self.needs_python)

    @property
    def in_venv(self) -> bool:
        return bool(self.module) or self.python

    @property
    def locked_by(self) -> list[Path]:
        return [folder_of(self) / "requirements.txt"]


class NpmPin(Row):
    """A program that Node.js runs."""

    how: Literal["npm"]
    version: Version
    script: Path = Field(description="what node runs, inside the installed folder")

    @property
    def locked_by(self) -> list[Path]:
        return [folder_of(self) / "package-lock.json"]


class DebPin(Row):
    """A program of the distribution; its package has no version of ours, only a minimum."""

    how: Literal["deb"]
    package: str
    file: Path | None = Field(None, description="where it is, when that is not on PATH")


class PathPin(Row):
    """A program that is never installed by Slipway."""

    how: Literal["path"]
    install: str = Field(description="the line that installs it on Debian")


Pin = Annotated[GoPin | PypiPin | NpmPin | DebPin | PathPin, Field(discriminator="how")]
AnyPin = GoPin | PypiPin | NpmPin | DebPin | PathPin


class Pins(Strict):
    programs: list[Pin]


def file() -> Path:
    """The table of pins."""
    return ROOT / "tools" / "pins.yaml"


def folder_of(pin: Row) -> Path:
    """The folder with the lock files of a program's group."""
    return file().parent / pin.group


@lru_cache(maxsize=8)
def read(path: Path) -> Mapping[str, AnyPin]:
    """The rows of a table of pins by name. Raises Stop (2) naming file, row and key."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        rows = TypeAdapter(Pins).validate_python(data).programs
    except (OSError, YAMLError) as error:
        raise Stop(
            f"{path} cannot be read: {' '.join(str(error).split())}", Code.USAGE, "./inv tools.list, when it is mended"
        ) from error
    except ValidationError as error:
        raise Stop("\n".join(_explain(path, data, error)), Code.USAGE, "./inv tools.list, when it is mended") from error
    names = [row.name for row in rows]
    if twice := {name for name in names if names.count(name) > 1}:
        raise Stop(
            f"{path}: named twice: {', '.join(sorted(twice))}", Code.USAGE, "./inv tools.list, when it is mended"
        )
    return {row.name: row for row in rows}


def _explain(path: Path, data: object, error: ValidationError) -> Iterable[str]:
    rows = data.get("programs") if isinstance(data, dict) else None
    for problem in error.errors(include_url=False):
        where = list(problem["loc"])
        if len(where) > 1 and isinstance(where[1], int) and isinstance(rows, list) and isinstance(rows[where[1]], dict):
            where[1] = str(rows[where[1]].get("name", f"row {where[1] + 1}"))
        message = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
        yield f"{path}: {'.'.join(str(part) for part in where) or '(file)'}: {message}"


def known() -> Mapping[str, AnyPin]:
    """All rows by name, in the order in which they are installed."""
    return read(file())


def pin(name: str) -> AnyPin:
    """The row of this name. Raises Stop (2) naming the known ones."""
    if name not in known():
        raise Stop(f"no external program '{name}'; known: {', '.join(known())}", Code.USAGE, "./inv tools.list")
    return known()[name]


def chosen(only: str = "", group: str = "") -> list[AnyPin]:
    """The rows with these names (separated by commas) and of this group. Raises Stop (2).

    By default all, but for those that this Python is too old for.
    """
    able = [row for row in known().values() if not (isinstance(row, PypiPin) and row.too_new)]
    rows = [pin(name.strip()) for name in only.split(",") if name.strip()] if only else able
    groups = sorted({row.group for row in known().values()})
    if group and group not in groups:
        raise Stop(f"no group '{group}'; known: {', '.join(groups)}", Code.USAGE, "./inv tools.list")
    return [row for row in rows if not group or row.group == group]


def digest(row: Row) -> str:
    """Changes whenever what would be installed changes: the row's own build fields and the files that lock it."""
    fields = row.model_dump(mode="json", include={"version", "module", "package", "ldflags", "env", "file", "script"})
    hashed = hashlib.sha256(json.dumps(fields, sort_keys=True).encode())
    for path in row.locked_by:
        hashed.update(path.name.encode() + b"\0" + path.read_bytes())
    if isinstance(row, PypiPin) and row.in_venv:
        # A venv belongs to the interpreter that made it.
        hashed.update(f"{sys.base_prefix} {sys.version_info[:2]}".encode())
    return hashed.hexdigest()[:12]


def home(row: AnyPin) -> Path:
    """The folder of the project's cache for exactly this pin; a changed pin is another folder."""
    version = getattr(row, "version", "") or "any"
    return cache() / "tools" / row.name / f"{version}-{digest(row)}"


def target(row: AnyPin) -> Path:
    """The program's file once it is installed."""
    if isinstance(row, PypiPin) and not row.in_venv:
        return home(row) / row.file
    return home(row) / row.name
