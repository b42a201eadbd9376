"""SLSA provenance v1 of a release: where its image was built, from which commit, with which inputs."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from tasks.lib.record import Record

PREDICATE = "slsaprovenance1"  # cosign's name of https://slsa.dev/provenance/v1; it checks the fields
BUILD_TYPE = "urn:slipway:build:v1"
DESK = "urn:slipway:builder:desk"


def builder(pipeline: dict[str, str]) -> str:
    """Who built: the server whose pipeline it was, else a machine that nobody vouches for."""
    server, separator, _ = pipeline.get("url", "").partition("/-/")
    return f"{server}/-/pipelines" if separator else DESK


def predicate(record: Record, repository: str) -> dict[str, Any]:
    """The provenance that follows from a record.

    repository: URL of the Git repository. Only what the record holds is said: signed in the job that
    builds, this is SLSA build level 1 and not more (docs/verify.md).
    """
    made = record.predicate
    repository = _without_login(repository)
    inputs = made.inputs
    source = {"uri": f"git+{repository}", "digest": {"gitCommit": made.commit}}
    dependencies: list[dict[str, Any]] = [source]
    digest = inputs.base_image.rpartition("@")[2] if "@" in inputs.base_image else inputs.base_image_id
    algorithm, _, value = digest.partition(":")
    if algorithm == "sha256":
        dependencies.append({"name": "base image", "uri": inputs.base_image, "digest": {algorithm: value}})
    lock = {"name": "service/requirements.txt", "digest": {"sha256": inputs.requirements_sha256}}
    dependencies.append({"uri": f"git+{repository}@{made.commit}#service/requirements.txt", **lock})
    metadata = {"startedOn": _time(made.started), "finishedOn": _time(made.built)}
    if made.pipeline.get("url"):
        metadata["invocationId"] = made.pipeline["url"]
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"repository": repository, "commit": made.commit, "ref": made.ref},
            "internalParameters": {"sourceDateEpoch": inputs.source_date_epoch, "dirty": made.dirty},
            "resolvedDependencies": dependencies,
        },
        "runDetails": {"builder": {"id": builder(made.pipeline)}, "metadata": metadata},
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.netloc else url
