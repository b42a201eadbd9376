"""What TruffleHog's JSON lines say, read in one place, and what may be kept of a secret: never its value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tasks.lib.gates.models import Finding
from tasks.lib.settings import Severity

MARK = 12  # characters of the hash: enough to tell two secrets of one detector apart


class Place(BaseModel):
    """Where a result is; which of these there are depends on the source."""

    model_config = ConfigDict(hide_input_in_errors=True)

    commit: str = ""
    file: str = ""
    line: int = 0


class Source(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    data: dict[str, Place] = Field(alias="Data", min_length=1)


class Result(BaseModel):
    """One secret. The values are there to be hashed; nothing shows them, errors included."""

    model_config = ConfigDict(hide_input_in_errors=True)

    source: Source = Field(alias="SourceMetadata")
    detector: str = Field(alias="DetectorName")
    verified: bool = Field(alias="Verified")
    raw: SecretStr = Field(alias="Raw")
    raw_v2: SecretStr = Field(SecretStr(""), alias="RawV2")

    @property
    def place(self) -> Place:
        return next(iter(self.source.data.values()))

    def finding(self, commit: str = "") -> Finding:
        """Detector, place and the start of a hash; not the value, not even what TruffleHog redacted.

        commit: the full SHA, where it is not the one of the result.
        """
        value = self.raw_v2.get_secret_value() or self.raw.get_secret_value()
        mark = hashlib.sha256(value.encode()).hexdigest()[:MARK]
        state = (
            "valid, its service confirmed it"
            if self.verified
            else "could not be checked with its service, so it counts"
        )
        return Finding(
            id=f"{self.detector}:{mark}",
            severity=Severity.CRITICAL if self.verified else Severity.HIGH,
            title=f"{self.detector} secret: {state}",
            file=self.place.file or ("commit message" if self.place.commit else next(iter(self.source.data))),
            line=self.place.line,
            commit=commit or self.place.commit,
            fixed="revoke it at its service, then remove it from the commits",
        )


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of an output or a log, one a line; skips other lines. Raises ValueError for half of one."""
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def is_log(entry: dict[str, Any]) -> bool:
    """Whether an object is a line of TruffleHog's log and no result."""
    return "level" in entry and "msg" in entry and "SourceMetadata" not in entry
