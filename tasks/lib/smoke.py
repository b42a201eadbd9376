"""The smoke test of a release: right and wrong requests through the Service, as a client would send them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.lib.kube import REQUEST_SECONDS, Answer, Cluster
from tasks.lib.target import Target

PROXY = "/api/v1/namespaces/{namespace}/services/{service}/proxy{path}"


class Failed(Exception):
    """A check did not hold; the text says what was asked and what came back."""


@dataclass(frozen=True)
class Check:
    """One request and what must be true of its answer."""

    name: str
    path: str
    query: tuple[tuple[str, str], ...]
    holds: Callable[[Answer], bool]


def checks(revision: str) -> list[Check]:
    """What every release must answer, by the commit it claims to be."""
    return [
        Check("is healthy", "/health", (), lambda a: a.status == 200),
        Check("is this release", "/version", (), lambda a: a.status == 200 and a.json().get("commit") == revision),
        Check("says what it is", "/", (), lambda a: a.status == 200 and a.json().get("release") == revision),
        Check(
            "tells the time",
            "/api/time",
            (("zone", "Europe/Berlin"),),
            lambda a: a.status == 200 and "Europe/Berlin" in a.text,
        ),
        Check(
            "refuses a bad zone",
            "/api/time",
            (("zone", "Nowhere/Land"),),
            lambda a: a.status == 400 and a.content_type.startswith("application/problem+json"),
        ),
        Check("counts requests", "/metrics", (), lambda a: a.status == 200 and "app_requests_total" in a.text),
    ]


def _service(cluster: Cluster, target: Target) -> str:
    found: Any = cluster.core.list_namespaced_service(
        target.env.namespace,
        label_selector=f"app.kubernetes.io/instance={target.env.application}",
        _request_timeout=REQUEST_SECONDS,
    ).items
    if not found:
        raise Failed(f"there is no Service in {target.env.namespace}")
    return f"{found[0].metadata.name}:http"


def ask(cluster: Cluster, target: Target, service: str, check: Check) -> Answer:
    """Sends one request through the Service by way of the API server. Raises Failed when none comes back."""
    from urllib3.exceptions import HTTPError

    path = PROXY.format(namespace=target.env.namespace, service=service, path=check.path)
    try:
        return cluster.get(path, check.query, target.env.smoke.timeout_seconds)
    except HTTPError as error:
        raise Failed(f"{check.name}: no answer to GET {check.path}: {str(error)[:160]}") from error


def run(cluster: Cluster, target: Target, revision: str, note: Callable[[str], None] = lambda _: None) -> int:
    """Runs every check, each with smoke.attempts tries; returns how many passed. Raises Failed for a bad one."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

    service = _service(cluster, target)

    def once(check: Check) -> None:
        answer = ask(cluster, target, service, check)
        if not check.holds(answer):
            query = "&".join(f"{name}={value}" for name, value in check.query)
            asked = f"GET {check.path}{'?' if query else ''}{query}"
            raise Failed(f"{check.name}: {asked} answered {answer.status} {answer.text[:120].strip()}")

    everything = checks(revision)
    for check in everything:
        note(f"({check.name})")
        Retrying(
            stop=stop_after_attempt(target.env.smoke.attempts),
            wait=wait_fixed(0.5),
            retry=retry_if_exception_type(Failed),
            reraise=True,
        )(once, check)
    return len(everything)
