"""The release lines of an environment's values.yaml: read, and edited without touching any other byte."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node

from tasks.lib.errors import Code, Stop

SHA = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Release(BaseModel):
    """Image and chart of one commit: what an environment is pinned to. All empty: nothing runs there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""

    @field_validator("revision", "tag")
    @classmethod
    def _sha(cls, value: str) -> str:
        if value and not SHA.fullmatch(value):
            raise ValueError("must be a full commit SHA")
        return value

    @field_validator("digest")
    @classmethod
    def _digest(cls, value: str) -> str:
        if value and not DIGEST.fullmatch(value):
            raise ValueError("must be sha256: and 64 hexadecimal digits")
        return value

    @property
    def image(self) -> str:
        """The reference that is deployed: always tag and digest."""
        return f"{self.repository}:{self.tag}@{self.digest}"

    def __bool__(self) -> bool:
        return bool(self.revision)


NOTHING = Release()


def _child(node: Node, key: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _plain(text: str) -> Any:
    return YAML(typ="safe").load(text)


def read(text: str, where: str) -> Release:
    """The release that values.yaml pins. Raises Stop (2) naming `where` when the lines do not hold."""
    try:
        data = _plain(text)
        return Release(**(data or {})["release"])
    except (YAMLError, KeyError, TypeError, ValueError) as error:
        said = f"{where}: the release lines cannot be read: {' '.join(str(error).split())[:300]}"
        raise Stop(said, Code.USAGE, f"git log -p -- {where}") from error


def edit(text: str, release: Release, where: str) -> str:
    """The text with the release lines set to `release`; every other byte stays.

    Raises Stop (2) when a line is missing, and Stop (1) when the edit would change anything else.
    """
    read(text, where)
    node = _child(YAML().compose(text), "release")
    places: list[tuple[int, int, str]] = []
    for key, value in release.model_dump().items():
        scalar = _child(node, key) if node else None
        if scalar is None:
            wanted = f'{where}: release.{key} is missing; add the line `{key}: ""` under release'
            raise Stop(wanted, Code.USAGE, f"git log -p -- {where}")
        places.append((scalar.start_mark.index, scalar.end_mark.index, json.dumps(value)))
    edited = text
    for start, end, value in sorted(places, reverse=True):
        edited = edited[:start] + value + edited[end:]
    before, after = _plain(text), _plain(edited)
    if {**before, "release": release.model_dump()} != after:
        raise Stop(f"{where}: the release lines cannot be edited without changing others", Code.UNEXPECTED)
    return edited
