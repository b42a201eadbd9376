"""Which requests are traced when nobody said: the first of every second, so that load never makes it expensive."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

#: Traces that one worker starts in a second. With little traffic that is every request.
PER_SECOND = 20

_LEFT = SamplingResult(Decision.DROP)


class FirstOfEverySecond(Sampler):
    """Samples the first `limit` in each second. Threads may count one too many: it bounds costs."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._second = 0
        self._taken = 0

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Record and sample, or drop."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes) if self._taken <= self._limit else _LEFT

    def exhausted(self) -> bool:
        """Whether all of this second are taken, so that the next one is dropped."""
        return self._taken >= self._limit and self._second == int(time.monotonic())

    def get_description(self) -> str:
        """For people."""
        return f"FirstOfEverySecond{{{self._limit}}}"


def default(env: Mapping[str, str]) -> FirstOfEverySecond | None:
    """For requests without a caller's decision; None where OTEL_TRACES_SAMPLER names another way."""
    return None if env.get("OTEL_TRACES_SAMPLER", "").strip() else FirstOfEverySecond(PER_SECOND)
