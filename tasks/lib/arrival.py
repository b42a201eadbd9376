"""Arrived is a fact: Argo CD at that revision, the rollout complete, and every pod answering with the SHA."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tasks.lib import argo
from tasks.lib.errors import Code, Stop
from tasks.lib.kube import REQUEST_SECONDS, Cluster, Silent, answering
from tasks.lib.settings import SERVICE
from tasks.lib.target import Target
from tasks.lib.values import Release

POLL_SECONDS = 0.25
AGAIN_SECONDS = 0.1  # between two checks in a row of a release that has arrived
FIRST_REFRESH_SECONDS = 2.0  # who changed Git asked for a look already; asking again at once makes Argo CD start anew
REFRESH_SECONDS = 5.0  # how often a refresh is asked for again while nothing moves
STUCK_SECONDS = 20.0  # how long a pod may stay in a hopeless state before the release counts as failed
HOPELESS = frozenset(
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
    ]
)
PORT = 5000


class NotArrived(Exception):
    """The release did not arrive; the text says why, for people."""


@dataclass(frozen=True)
class Pods:
    """The pods of an environment that serve or will serve, and what they wait for."""

    names: list[str]
    ready: int
    hopeless: str = ""
    unschedulable: str = ""


def selector(target: Target) -> str:
    """The label selector of the environment's service pods."""
    return f"app.kubernetes.io/instance={target.env.application},app.kubernetes.io/name={SERVICE}"


def pods(cluster: Cluster, target: Target) -> Pods:
    """The pods that are not on their way out."""
    found: Any = cluster.core.list_namespaced_pod(
        target.env.namespace, label_selector=selector(target), _request_timeout=REQUEST_SECONDS
    ).items
    alive = [pod for pod in found if not pod.metadata.deletion_timestamp and pod.status.phase in ("Pending", "Running")]
    ready = [pod for pod in alive if any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])]
    names = [pod.metadata.name for pod in alive]
    return Pods(names, len(ready), _first(_hopeless, alive), _first(_unschedulable, alive))


def _first(says: Callable[[Any], str], pods: list[Any]) -> str:
    return next(filter(None, map(says, pods)), "")


def _hopeless(pod: Any) -> str:
    for status in pod.status.container_statuses or []:
        waiting = status.state.waiting
        if waiting and waiting.reason in HOPELESS:
            return f"{pod.metadata.name}: {waiting.reason}: {(waiting.message or '')[:160]}".rstrip(": ")
    return ""


def _unschedulable(pod: Any) -> str:
    """Why no node takes the pod. Not hopeless: other pods leave, and a cluster may add nodes."""
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.reason == "Unschedulable":
            return f"{pod.metadata.name}: {(condition.message or '').partition('. ')[0][:160]}"
    return ""


def rollout(cluster: Cluster, target: Target, release: Release) -> str:
    """What the Deployment's rollout still waits for; '' when it is complete with this image."""
    found = cluster.apps.list_namespaced_deployment(
        target.env.namespace, label_selector=selector(target), _request_timeout=REQUEST_SECONDS
    ).items
    if not found:
        return "no Deployment yet"
    deployment: Any = found[0]
    status, spec = deployment.status, deployment.spec
    if spec.template.spec.containers[0].image != release.image:
        return "the Deployment has another image"
    if (status.observed_generation or 0) < deployment.metadata.generation:
        return "the rollout is not observed yet"
    wanted = spec.replicas or 0
    for label, count in (("updated", status.updated_replicas), ("available", status.available_replicas)):
        if (count or 0) < wanted or wanted == 0:
            return f"{count or 0} of {wanted} pods {label}"
    if (status.replicas or 0) > wanted:
        return f"{status.replicas - wanted} old pods left"
    return ""


def versions(cluster: Cluster, target: Target, names: list[str]) -> dict[str, str]:
    """The commit that each pod answers on /version, or why it did not, by pod name."""
    from urllib3.exceptions import HTTPError

    answers = {}
    for name in names:
        try:
            answer = cluster.get(f"/api/v1/namespaces/{target.env.namespace}/pods/{name}:{PORT}/proxy/version")
            answers[name] = str(answer.json().get("commit") or f"status {answer.status}")
        except HTTPError as error:
            answers[name] = f"nothing ({error})"
    return answers


def missing(cluster: Cluster, target: Target, release: Release) -> str:
    """What keeps the release from having arrived, at this moment; '' when everything holds once.

    Raises NotArrived when waiting cannot help.
    """
    app = argo.application(cluster, target.env.application)
    if app is None:
        return "no Application yet"
    if app.revision_wanted != release.revision or app.digest != release.digest:
        return "the ApplicationSet has not seen the commit yet"
    tried = app.revision_tried == release.revision  # the last operation may still be that of the release before
    if tried and app.phase in ("Failed", "Error") and app.sync != "Synced":
        raise NotArrived(f"Argo CD could not sync: {app.message[:300]}")
    if tried and app.phase == "Running" and app.retries >= 3:
        raise NotArrived(f"Argo CD failed to sync {app.retries} times: {app.message[:300]}")
    if app.revision_synced != release.revision or app.sync != "Synced":
        return f"Argo CD says {app.sync}" + (f": {app.message[:160]}" if app.sync == "Unknown" else "")
    waiting = rollout(cluster, target, release)
    if waiting:
        return waiting
    alive = pods(cluster, target)
    if alive.ready < len(alive.names) or not alive.names:
        return f"{alive.ready} of {len(alive.names)} pods ready"
    wrong = {name: said for name, said in versions(cluster, target, alive.names).items() if said != release.revision}
    if wrong:
        name, said = next(iter(wrong.items()))
        return f"{name} answers {said[:40]} on /version"
    return "" if app.is_at(release.revision, release.digest) else f"Argo CD says {app.health}"


def look(cluster: Cluster, target: Target, release: Release) -> tuple[str, str, Silent | None]:
    """What the release still lacks, what a pod of it is stuck in, and whether the cluster was silent instead.

    Raises NotArrived when waiting cannot help.
    """
    try:
        with answering(target):
            reason = missing(cluster, target, release)
            if not reason:
                return "", "", None
            found = pods(cluster, target)
            return "; ".join(filter(None, (reason, found.unschedulable))), found.hopeless, None
    except Silent as silence:
        return silence.sentence, "", silence


def wait(
    cluster: Cluster, target: Target, release: Release, still_wanted: Callable[[], bool], note: Callable[[str], None]
) -> None:
    """Waits until the release has arrived, several checks in a row (rollout.version_checks).

    still_wanted: whether Git still asks for this release. note: told what is waited for.
    A cluster that is silent for a while is waited for: its silence says nothing about the release.
    Raises NotArrived when it cannot or does not arrive in rollout.timeout_seconds, Stop (5) when it was superseded,
    Silent (4) when the cluster is still silent then.
    """
    began = time.monotonic()
    stuck_since = 0.0
    refresh_at = began + FIRST_REFRESH_SECONDS
    refreshed = False
    in_a_row = 0
    seen = ""
    while in_a_row < target.env.rollout.version_checks:
        now = time.monotonic()
        reason, stuck, silence = look(cluster, target, release)
        in_a_row = 0 if reason else in_a_row + 1
        if reason and reason != seen:
            note(f"({reason})")
            seen = reason
        stuck_since = (stuck_since or now) if stuck else 0.0
        if stuck and now - stuck_since > STUCK_SECONDS:
            raise NotArrived(stuck)
        if now - began > target.env.rollout.timeout_seconds:
            if silence:
                raise silence
            raise NotArrived(f"not there after {target.env.rollout.timeout_seconds:g} s: {stuck or reason}")
        if reason and not silence and now > refresh_at:
            if refreshed and not still_wanted():
                raise Stop(
                    f"superseded: Git no longer asks for {release.revision[:12]} in {target.env.name}",
                    Code.REFUSED,
                    f"./inv status --env {target.env.name}",
                )
            with suppress(Silent), answering(target):
                argo.refresh(cluster, target.env.application)
            refreshed, refresh_at = True, now + REFRESH_SECONDS
        time.sleep(POLL_SECONDS if reason else AGAIN_SECONDS)


def wait_for_nothing(cluster: Cluster, target: Target, note: Callable[[str], None]) -> None:
    """Waits until an environment whose first release was taken back is empty. Raises NotArrived."""
    deadline = time.monotonic() + target.env.rollout.timeout_seconds
    refreshed = 0.0
    while _application_is_there(cluster, target):
        note("(the Application is being removed)")
        if time.monotonic() > deadline:
            raise NotArrived("the Application is still there")
        if time.monotonic() - refreshed > REFRESH_SECONDS:
            with suppress(Silent), answering(target):
                argo.refresh(cluster, target.env.application)
            refreshed = time.monotonic()
        time.sleep(POLL_SECONDS)


def _application_is_there(cluster: Cluster, target: Target) -> bool:
    try:
        with answering(target):
            return cluster.argo("applications", target.env.application) is not None
    except Silent:
        return True
