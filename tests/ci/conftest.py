"""The pipeline as text, and a clone in which gitlab-ci-local really runs its jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from tasks.lib import build, paths, settings, tools

FILE = paths.ROOT / ".gitlab-ci.yml"
KEYWORDS = {"variables", "workflow", "default", "stages", "include"}


@pytest.fixture(scope="session")
def pipeline() -> dict[str, Any]:
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe").load(FILE.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def jobs(pipeline: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The jobs by name, with what they extend (one level deep, as GitLab merges it)."""
    found = {}
    for name, job in pipeline.items():
        if name in KEYWORDS or name.startswith("."):
            continue
        base = pipeline.get(job.get("extends", ""), {})
        merged = {**base, **job}
        for key in ("artifacts", "variables"):
            if key in base and key in job:
                merged[key] = {**base[key], **job[key]}
        found[name] = merged
    return found


@dataclass
class Clone:
    """A clone of this checkout as it is now, uncommitted changes included; nothing is written into the checkout."""

    folder: Path
    sha: str
    program: Path

    def run(self, *words: str, timeout: float = 600.0) -> subprocess.CompletedProcess[str]:
        """gitlab-ci-local in the clone. The jobs share this run's venv, caches and home."""
        env = {**os.environ, "SLIPWAY_VENV": sys.prefix, "MYPY_CACHE_DIR": str(paths.ROOT / ".mypy_cache")}
        env = {name: value for name, value in env.items() if not name.startswith("PYTEST")}
        return subprocess.run(
            [self.program, *words],
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def jobs(self, **variables: str) -> dict[str, str]:
        """When each job would run, by name, for a pipeline with these variables."""
        words = [f"--variable={name}={value}" for name, value in variables.items()]
        words += [f"--ignore-predefined-vars={','.join(variables)}"] if variables else []
        done = self.run("--list-json", *words)
        assert done.returncode == 0, done.stderr
        return {job["name"]: job["when"] for job in json.loads(done.stdout)}


@pytest.fixture
def clone(c: Context, tmp_path: Path) -> Clone:
    programs = tools.paths(c, ["gitlab-ci-local", "rsync"])
    sha = build.commit_of(c, settings.load("local"), dirty=True)
    folder = tmp_path / "clone"
    git = ["git", "-c", "advice.detachedHead=false"]
    # --shared: a snapshot of uncommitted changes is in no branch, so no fetch would bring it.
    for words in (
        ["clone", "--quiet", "--shared", "--no-checkout", paths.ROOT, folder],
        ["-C", folder, "checkout", "--quiet", "-B", "main", sha],
        ["-C", folder, "remote", "set-url", "origin", "https://gitlab.example.com/team/slipway.git"],
    ):
        subprocess.run([*git, *words], check=True, capture_output=True, timeout=120)
    return Clone(folder, sha, programs["gitlab-ci-local"])
