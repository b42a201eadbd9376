"""What a PromQL expression asks for. promtool has said before that it is PromQL."""

from __future__ import annotations

import re
from dataclasses import dataclass

STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
RANGE = re.compile(r"\[[^\]]*\]")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
NUMBER = re.compile(r"\b\d[\w.]*")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\}|(?![\w:]*\s*\())|\{([^}]*)\}")
MATCHER = re.compile(r"(\w+)\s*[=!]")
WORDS = {"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"}


@dataclass(frozen=True)
class Selector:
    """One selection of series: name ('' for any), labels that it matches, and text: as it is written, in one line."""

    name: str
    labels: frozenset[str]
    text: str


def selectors(expr: str) -> list[Selector]:
    """Every selection of series in an expression, in order."""
    bare = expr
    for pattern in (STRING, RANGE, NUMBER, GROUPING):
        bare = pattern.sub(_blank, bare)
    return [
        Selector(
            found[1] or "",
            frozenset(MATCHER.findall(found[2] or found[3] or "")),
            " ".join(expr[found.start() : found.end()].split()),
        )
        for found in SELECTOR.finditer(bare)
        if (found[1] or "").lower() not in WORDS
    ]


def _blank(found: re.Match[str]) -> str:
    """As many spaces: what is found in the rest stands at the same place in the whole."""
    return " " * len(found[0])


def grouped_by(expr: str) -> set[str]:
    """Every label that an expression groups or joins by."""
    return {label.strip() for labels in GROUPING.findall(expr) for label in labels.split(",")} - {""}
