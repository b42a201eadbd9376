"""The delivery log as Prometheus text, for a textfile collector or anything else that is scraped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from tasks.lib import history
from tasks.lib.history import Action
from tasks.lib.observe import delivery
from tasks.lib.observe.delivery import WINDOW, Known, Outcome

RECENT = f"in the last {WINDOW.days} days"


def text(known: Known) -> str:
    """All series of one environment in Prometheus' text format, version 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(known))
    return generate_latest(registry).decode()


class _Families(Collector):
    def __init__(self, known: Known) -> None:
        self.known = known

    def collect(self) -> Iterator[Metric]:
        for part in (_running, _events, _dora, _gates, _databases, _drift, _written):
            yield from part(self.known)


Values = Iterable[tuple[list[str], float]]


def _gauge(known: Known, name: str, says: str, labels: list[str], values: Values) -> Metric:
    return _filled(GaugeMetricFamily(name, says, labels=["environment", *labels]), known, values)


def _counter(known: Known, name: str, says: str, labels: list[str], values: Values) -> Metric:
    return _filled(CounterMetricFamily(name, says, labels=["environment", *labels]), known, values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, known: Known, values: Values) -> Metric:
    for labels, value in values:
        family.add_metric([known.environment.name, *labels], value)
    return family


def _running(known: Known) -> Iterator[Metric]:
    now = history.current(known.events)
    there = now if now and now.release else None
    arrived = there is not None and there.release in history.arrived(_since(known, there.commit))
    yield _gauge(
        known,
        "slipway_release_info",
        "1 for the release that Git says should run; arrived: whether it arrived healthy.",
        ["sha", "arrived"],
        [([there.release, str(arrived).lower()], 1)] if there else [],
    )
    yield _gauge(
        known,
        "slipway_release_timestamp_seconds",
        "When the release that should run was brought in, and by which action.",
        ["sha", "action"],
        [([there.release, there.action.value], there.time.timestamp())] if there else [],
    )
    frozen = history.freeze(known.events, known.now) is not None
    yield _gauge(known, "slipway_frozen", "1 while the environment takes no release.", [], [([], float(frozen))])


def _since(known: Known, commit: str) -> list[history.Event]:
    """The events after, and with, a commit; newest first."""
    index = next(number for number, event in enumerate(known.events) if event.commit == commit)
    return list(known.events[: index + 1])


def _events(known: Known) -> Iterator[Metric]:
    log = delivery.log(known.events)
    ended = [deploy.outcome for deploy in log.deploys]
    yield _counter(
        known,
        "slipway_deploys",
        "Deploys and promotions that ended, by outcome; what arrived and was taken back later also counts as arrived.",
        ["outcome"],
        [([outcome.value], ended.count(outcome)) for outcome in Outcome],
    )
    yield _counter(known, "slipway_rollbacks", "Rollbacks, by hand and automatic.", [], [([], len(log.rollbacks))])
    times = {action: [event.time for event in known.events if event.action is action] for action in Action}
    yield _counter(
        known,
        "slipway_events",
        "Commits to the desired state, by action.",
        ["action"],
        [([action.value], len(found)) for action, found in times.items()],
    )
    yield _gauge(
        known,
        "slipway_last_event_timestamp_seconds",
        "When each action happened last.",
        ["action"],
        [([action.value], max(found).timestamp()) for action, found in times.items() if found],
    )


def _dora(known: Known) -> Iterator[Metric]:
    log, since = delivery.log(known.events), known.now - WINDOW
    ended = [deploy.outcome for deploy in log.deploys_since(since)]
    yield _gauge(
        known,
        "slipway_recent_deploys",
        f"Deploys and promotions that were begun {RECENT} and ended, by outcome.",
        ["outcome"],
        [([outcome.value], ended.count(outcome)) for outcome in Outcome],
    )
    rollbacks = len(log.rollbacks_since(since))
    yield _gauge(known, "slipway_recent_rollbacks", f"Rollbacks {RECENT}.", [], [([], rollbacks)])
    lead, restore = log.lead_time(since, known.commits), log.restore_time(since)
    yield _gauge(
        known,
        "slipway_lead_time_seconds",
        f"Median time from a release's commit to its first arrival here, of those {RECENT}; absent without any.",
        [],
        [] if lead is None else [([], lead)],
    )
    yield _gauge(
        known,
        "slipway_restore_time_seconds",
        f"Median time from bringing in what was taken back to the next arrival, {RECENT}; absent without any.",
        [],
        [] if restore is None else [([], restore)],
    )


def _gates(known: Known) -> Iterator[Metric]:
    made = known.record.predicate if known.record else None
    gates = made.gates if made else []
    sha = made.commit if made else ""
    yield _gauge(
        known,
        "slipway_record_verified",
        "1 when the running release has a record whose signature holds.",
        [],
        [([], float(made is not None))],
    )
    yield _gauge(
        known,
        "slipway_gate_outcome",
        "1 for the outcome of each gate in the record of the running release.",
        ["sha", "gate", "outcome", "tool"],
        [([sha, gate.name, gate.outcome, f"{gate.tool} {gate.version}".strip()], 1) for gate in gates],
    )
    yield _gauge(
        known,
        "slipway_gate_findings",
        "Findings in the record of the running release, waived ones too.",
        ["gate", "severity"],
        [([gate.name, name], count) for gate in gates for name, count in gate.counts.items()],
    )
    yield _gauge(
        known,
        "slipway_gate_waivers",
        "Waivers that let findings of the running release through.",
        ["gate"],
        [([gate.name], len(gate.waivers)) for gate in gates],
    )


def _databases(known: Known) -> Iterator[Metric]:
    yield _gauge(
        known,
        "slipway_gate_database_timestamp_seconds",
        "When the newest entry of each database was made that gates on this machine would compare with.",
        ["database"],
        [([name], moment.timestamp()) for name, moment in sorted(known.databases.items())],
    )
    yield _gauge(
        known,
        "slipway_gate_database_max_age_seconds",
        "How old a database the environment accepts.",
        [],
        [([], known.environment.gates.max_database_age_days * 86400)],
    )


def _drift(known: Known) -> Iterator[Metric]:
    yield _gauge(
        known,
        "slipway_drift_places",
        "In how many places the environment differs from what Git says; absent where nobody asked.",
        ["kind"],
        [] if known.drift is None else [(["cluster"], known.drift)],
    )


def _written(known: Known) -> Iterator[Metric]:
    now = known.now.timestamp()
    yield _gauge(known, "slipway_metrics_timestamp_seconds", "When these metrics were written.", [], [([], now)])
