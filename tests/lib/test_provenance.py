"""SLSA provenance: what the record knows, nothing else, and never a login."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.lib import provenance
from tasks.lib.record import BuildInputs
from tests.lib.signed import SHA, made

GIT = "https://git.example.com/team/slipway.git"
DIGEST = "sha256:" + "1" * 64


def of(repository: str = GIT, **changes: Any) -> dict[str, Any]:
    return provenance.predicate(made(**changes), repository)


def inputs(base: str, base_id: str = "") -> BuildInputs:
    return BuildInputs(base_image=base, base_image_id=base_id, requirements_sha256="2" * 64, source_date_epoch=1)


def test_it_names_commit_lock_file_and_who_built() -> None:
    found = of(inputs=inputs(f"python:3.11-slim@{DIGEST}"), ref="main")
    build, run = found["buildDefinition"], found["runDetails"]
    assert build["externalParameters"] == {"repository": GIT, "commit": SHA, "ref": "main"}
    source, base, lock = build["resolvedDependencies"]
    assert source == {"uri": f"git+{GIT}", "digest": {"gitCommit": SHA}}
    assert (base["uri"], base["digest"]) == (f"python:3.11-slim@{DIGEST}", {"sha256": "1" * 64})
    assert (lock["name"], lock["digest"]) == ("service/requirements.txt", {"sha256": "2" * 64})
    assert run["builder"]["id"] == provenance.DESK
    assert run["metadata"] == {"startedOn": "2026-01-01T00:00:00Z", "finishedOn": "2026-01-01T00:00:00Z"}


def test_a_pipelines_job_is_named() -> None:
    url = "https://gitlab.example.com/team/slipway/-/jobs/7"
    run = of(pipeline={"url": url, "job": "build"})["runDetails"]
    assert run["builder"]["id"] == "https://gitlab.example.com/team/slipway/-/pipelines"
    assert run["metadata"]["invocationId"] == url


@pytest.mark.parametrize(
    ("given", "digests"),
    [
        (inputs("slipway-base:bookworm", DIGEST), [{"sha256": "1" * 64}]),
        (inputs("the Dockerfile's default"), []),
        (inputs("registry.example.com:5000/base"), []),
    ],
)
def test_a_base_without_a_digest_is_left_out(given: BuildInputs, digests: list[dict[str, str]]) -> None:
    found = of(inputs=given)["buildDefinition"]["resolvedDependencies"]
    assert [one["digest"] for one in found if one.get("name") == "base image"] == digests


def test_a_login_stays_out_of_it() -> None:
    found = str(of("https://deploy:hunter2hunter2@git.example.com:8443/s.git"))
    assert "hunter2" not in found
    assert "deploy" not in found
    assert "https://git.example.com:8443/s.git" in found
    assert "git@git.example.com:team/s.git" in str(of("git@git.example.com:team/s.git"))
