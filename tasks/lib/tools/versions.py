"""Versions as programs print them: numbers with dots, compared number by number."""

from __future__ import annotations

import re

NUMBERS = re.compile(r"(?<![\d.])v?(\d+(?:\.\d+)+)")


def read(text: str) -> str:
    """The first version in what a program printed, without a leading v; '' when there is none."""
    found = NUMBERS.search(text)
    return found.group(1) if found else ""


def numbers(version: str) -> tuple[int, ...]:
    """What a version is compared by: its numbers, without zeros at the end, so that 3.7 equals 3.7.0."""
    parts = [int(part) for part in version.lstrip("v").split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def within(version: str, minimum: str = "", below: str = "") -> bool:
    """Whether a version is at least `minimum` and less than `below`; an unknown version ('') only fits no bounds."""
    if not version:
        return not minimum and not below
    found = numbers(version)
    return (not minimum or found >= numbers(minimum)) and (not below or found < numbers(below))
