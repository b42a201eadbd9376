"""Where the lab's monitoring answers on this machine: Prometheus, Alertmanager and the trace store.

Each is asked before it is named, so a caller never gets the address of one that does not run.
"""

from __future__ import annotations

from typing import NamedTuple

from tasks.lib.lab import layout, probes, state


class Address(NamedTuple):
    """One part: its node port (below those that Kubernetes gives away by itself) and the page that says it is ready."""

    port: int
    ready: str

    @property
    def url(self) -> str:
        return f"http://{layout.LOOPBACK}:{self.port}"


PROMETHEUS = Address(30009, "/-/ready")
ALERTMANAGER = Address(30010, "/-/ready")
TRACES = Address(30011, "/api/services")
VARIABLES = {
    "SLIPWAY_PROMETHEUS_URL": PROMETHEUS,
    "SLIPWAY_ALERTMANAGER_URL": ALERTMANAGER,
    "SLIPWAY_TRACES_URL": TRACES,
}


def prometheus() -> str | None:
    """The address of the lab's Prometheus; None where it does not run."""
    return _answering(PROMETHEUS)


def alertmanager() -> str | None:
    """The address of the lab's Alertmanager; None where it does not run."""
    return _answering(ALERTMANAGER)


def traces() -> str | None:
    """The address of the lab's trace store (Jaeger's HTTP API); None where it does not run."""
    return _answering(TRACES)


def addresses() -> dict[str, str]:
    """Those that answer, by the name of the variable under which other programs look for them."""
    return {name: url for name, part in VARIABLES.items() if (url := _answering(part))}


def _answering(part: Address) -> str | None:
    """The state file first: where no monitoring was ever started, nothing is asked."""
    if "monitoring" not in state.read(layout.home()) or state.find() is None:
        return None
    return part.url if probes.http(part.url + part.ready)() else None
