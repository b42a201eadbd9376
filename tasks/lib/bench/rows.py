"""What a row of the benchmark says, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """One measurement: ours, the raw tools' for the same work, and what it must reach.

    raw: None where no other tool does this work. limit: of ours; limit_ratio: of ours to raw; limit_more: of ours minus
    raw. error: why it could not be measured, and then the row does not hold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    what: str
    unit: str
    ours: float | None = None
    raw: float | None = None
    raw_what: str = ""
    limit: float | None = None
    limit_ratio: float | None = None
    limit_more: float | None = None
    raw_more_than: float | None = None
    notes: list[str] = []
    error: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours divided by raw, where both are there."""
        return self.ours / self.raw if self.ours is not None and self.raw else None

    @property
    def bound(self) -> str:
        """What the row must reach, for people."""
        words = [f"<= {self.limit:g} {self.unit}"] if self.limit is not None else []
        words += [f"ratio <= {self.limit_ratio:g}"] if self.limit_ratio is not None else []
        words += [f"raw + {self.limit_more:g} {self.unit}"] if self.limit_more is not None else []
        words += [f"control > {self.raw_more_than:g}"] if self.raw_more_than is not None else []
        return ", ".join(words)

    @property
    def holds(self) -> bool:
        """Whether every bound is kept; what was not measured does not hold."""
        if self.error or self.ours is None:
            return False
        if self.limit is not None and self.ours > self.limit:
            return False
        if self.limit_ratio is not None and (self.ratio is None or self.ratio > self.limit_ratio):
            return False
        if self.limit_more is not None and (self.raw is None or self.ours - self.raw > self.limit_more):
            return False
        return self.raw_more_than is None or (self.raw is not None and self.raw > self.raw_more_than)

    def data(self) -> dict[str, Any]:
        """The row for --json: what it holds and what follows from it."""
        return {**self.model_dump(), "ratio": self.ratio, "bound": self.bound, "holds": self.holds}

    def cells(self) -> list[str]:
        """The row as a line of the table."""
        if self.error:
            return [self.name, self.what, "", "", "", self.bound, f"could not run: {self.error}"]
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else "-"
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        return [self.name, self.what, self._number(self.ours), self._number(self.raw), ratio, self.bound, verdict]

    def _number(self, value: float | None) -> str:
        return "-" if value is None else f"{value:.3g} {self.unit}" if value < 100 else f"{value:.0f} {self.unit}"


COLUMNS: Sequence[str] = ("row", "what", "ours", "raw", "ratio", "bound", "")
