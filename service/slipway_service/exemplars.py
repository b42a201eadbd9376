"""The last traced request of every latency bucket, shared by all workers of an instance.

prometheus_client has no exemplars with several processes. Here they live in anonymous memory that the master makes
before it forks: one fixed place per route and bucket, written without a lock by whichever worker was last. A checksum
tells a place that two workers wrote at the same moment; it is left out until the next request of its bucket.
"""

from __future__ import annotations

import mmap
import struct
import time
import zlib
from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client.samples import Exemplar

_BODY = struct.Struct("<dd16s8s")  # value, seconds since 1970, trace id, span id
_SUM = struct.Struct("<I")
_SIZE = _BODY.size + _SUM.size


class Exemplars:
    """One exemplar per row and bucket. rows: fixed before workers are forked. bounds: upper bounds, ascending."""

    def __init__(self, rows: Sequence[str], bounds: Sequence[float]) -> None:
        self._rows = {row: number for number, row in enumerate(rows)}
        self._bounds = tuple(bounds)
        self._memory = mmap.mmap(-1, max(1, len(self._rows) * len(self._bounds)) * _SIZE)

    def put(self, row: str, value: float, trace_id: int, span_id: int) -> None:
        """Remembers the request for the bucket that counts `value`; an unknown row is left out."""
        number = self._rows.get(row)
        bucket = bisect_left(self._bounds, value)
        if number is None or bucket == len(self._bounds):
            return
        body = _BODY.pack(value, time.time(), trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big"))
        place = (number * len(self._bounds) + bucket) * _SIZE
        self._memory[place : place + _SIZE] = body + _SUM.pack(zlib.crc32(body))

    def get(self, row: str, bound: float) -> Exemplar | None:
        """What is remembered for the bucket below `bound`; None when there was no traced request."""
        number = self._rows.get(row)
        bucket = bisect_left(self._bounds, bound)
        if number is None or bucket == len(self._bounds):
            return None
        place = (number * len(self._bounds) + bucket) * _SIZE
        held = self._memory[place : place + _SIZE]
        value, seconds, trace_id, span_id = _BODY.unpack_from(held)
        if not seconds or _SUM.unpack_from(held, _BODY.size)[0] != zlib.crc32(held[: _BODY.size]):
            return None
        return Exemplar({"trace_id": trace_id.hex(), "span_id": span_id.hex()}, value, round(seconds, 3))
