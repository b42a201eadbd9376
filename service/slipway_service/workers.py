"""What the workers of an instance counted, read from prometheus_client's files and added up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from prometheus_client.mmap_dict import MmapedDict

_USED = Struct("=i")  # bytes in use, at the start of each file


@dataclass(frozen=True)
class _Layout:
    """Where a file of `used` bytes has which number."""

    used: int
    keys: Sequence[str]
    numbers: Struct


_layouts: dict[Path, _Layout] = {}


def totals(folder: Path) -> dict[str, dict[str, float]]:
    """Sums by key, by kind ("counter", "histogram"); keys are prometheus_client's JSON."""
    found: dict[str, dict[str, float]] = {}
    for file in sorted(folder.glob("*.db")):
        sums = found.setdefault(file.name.partition("_")[0], {})
        for key, value in zip(*_numbers(file), strict=True):
            sums[key] = sums.get(key, 0.0) + value
    return found


def _numbers(file: Path) -> tuple[Sequence[str], tuple[float, ...]]:
    """Keys of a file and their numbers.

    A key never moves, and a new one is added behind the others, with the length in use written last: while that is
    the same, so are the keys. A process with the number of a dead one goes on in its file.
    """
    data = file.read_bytes()
    if not data:  # its process has just begun
        return (), ()
    layout = _layouts.get(file)
    if layout is None or layout.used != _USED.unpack_from(data)[0]:
        layout = _layouts[file] = _layout(file)
        data = file.read_bytes()
    return layout.keys, layout.numbers.unpack_from(data)


def _layout(file: Path) -> _Layout:
    keys, form, end = [], ["=8x"], 8  # the length in use and padding
    for key, _, _, place in MmapedDict.read_all_values_from_file(str(file)):
        keys.append(sys.intern(key))
        form.append(f"{place - end}xd8x")  # the number, then a time that only gauges have
        end = place + 16
    return _Layout(end, keys, Struct("".join(form)))
