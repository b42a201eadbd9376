"""The only module that knows about CI."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tasks.lib import terminal

ZEROS = "0" * 40


def in_ci(env: Mapping[str, str] = os.environ) -> bool:
    """Whether a pipeline and not a person runs this."""
    return env.get("CI", "").lower() in ("true", "1")


def in_gitlab(env: Mapping[str, str] = os.environ) -> bool:
    """Whether GitLab reads the log (and folds its sections)."""
    return env.get("GITLAB_CI", "") == "true"


def merge_request_base(env: Mapping[str, str] = os.environ) -> str:
    """The diff base of a merge-request pipeline, or ''."""
    return env.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", "")


def pushed_from(env: Mapping[str, str] = os.environ) -> str:
    """The commit before a push, or ''; GitLab gives 40 zeros where there is none."""
    before = env.get("CI_COMMIT_BEFORE_SHA", "")
    return "" if before == ZEROS else before


def default_branch(env: Mapping[str, str] = os.environ) -> str:
    """The name of the default branch."""
    return env.get("CI_DEFAULT_BRANCH") or "main"


def pipeline(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What names the pipeline and job in a record; empty outside CI."""
    names = {
        "url": "CI_JOB_URL",
        "pipeline": "CI_PIPELINE_ID",
        "job": "CI_JOB_NAME",
        "ref": "CI_COMMIT_REF_NAME",
    }
    return {key: env[name] for key, name in names.items() if env.get(name)}


def registry_login(env: Mapping[str, str] = os.environ) -> str:
    """Docker's config.json with the logins that the pipeline has, or ''.

    DOCKER_AUTH_CONFIG is GitLab's variable for it; without it, the project's own registry.
    """
    if not in_ci(env):
        return ""
    given = env.get("DOCKER_AUTH_CONFIG", "")
    if given:
        return given
    host, user, password = (env.get(name, "") for name in ("CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"))
    if not (host and user and password):
        return ""
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {host: {"auth": auth}}})


def actor(person: str, env: Mapping[str, str] = os.environ) -> str:
    """Who acts: the pipeline's job, with the user that started it, or the person given."""
    if not in_ci(env):
        return person
    user = env.get("GITLAB_USER_LOGIN") or env.get("GITLAB_USER_EMAIL") or ""
    job = env.get("CI_JOB_URL") or env.get("CI_JOB_NAME") or "pipeline"
    return f"{user} through {job}" if user else job


def starter(environment: str, env: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """Login and mail of the person who started this job of a GitLab environment by hand; ('', '') for any other job.

    GitLab tells a job neither whether its environment is protected nor who approved: that somebody with the right to do
    so pressed the button, on a protected branch, is all that can be read.
    """
    wanted = {"GITLAB_CI": "true", "CI_JOB_MANUAL": "true", "CI_COMMIT_REF_PROTECTED": "true"}
    wanted["CI_ENVIRONMENT_NAME"] = environment
    if any(env.get(name) != value for name, value in wanted.items()):
        return "", ""
    return env.get("GITLAB_USER_LOGIN", ""), env.get("GITLAB_USER_EMAIL", "")


@contextmanager
def section(title: str) -> Iterator[None]:
    """A part of the log that GitLab folds; a plain heading elsewhere."""
    name = "".join(letter if letter.isalnum() else "_" for letter in title.lower())
    if in_gitlab():
        terminal.raw(f"\x1b[0Ksection_start:{int(time.time())}:{name}\r\x1b[0K{title}")
    try:
        yield
    finally:
        if in_gitlab():
            terminal.raw(f"\x1b[0Ksection_end:{int(time.time())}:{name}\r\x1b[0K")
