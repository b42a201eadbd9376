"""The pipeline as text, and a clone in which gitlab-ci-local really runs its jobs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from tasks.lib import build, paths, settings, tools

FILE = paths.ROOT / ".gitlab-ci.yml"
KEYWORDS = {"variables", "workflow", "default", "stages", "include"}
# The shell executor has no services; the lab's engine stands in. In a folder that Git ignores: the tree stays clean.
OVERLAY = ".slipway/pipeline.yml"
WITHOUT_SERVICES = "include: [{local: .gitlab-ci.yml}]\n.engine: {services: []}\n"
SHELL = ("--force-shell-executor", "--shell-isolation")
ENDED = re.compile(r"^(\S+) +finished in .*?(?: FAIL (\d+) *)?$", re.MULTILINE)
LINE = re.compile(r"^(\S+) +\$ (.*)$", re.MULTILINE)


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
class Pipeline:
    """What a run of some jobs left: each job that ran with its exit code, their script lines, and the whole log."""

    log: str
    codes: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.codes = {name: int(code or 0) for name, code in ENDED.findall(self.log)}
        self.lines = [line for _, line in LINE.findall(self.log)]


@dataclass
class Clone:
    """A clone of this checkout as it is now, uncommitted changes included; nothing is written into the checkout."""

    folder: Path
    sha: str
    program: Path

    def run(self, *words: str, timeout: float = 600.0) -> subprocess.CompletedProcess[str]:
        """gitlab-ci-local in the clone. The jobs share this run's venv, caches and home."""
        return self._run([str(self.program), *words], timeout)

    def by_hand(self, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """What a person gets who types this line in the clone."""
        return self._run(["sh", "-c", line], 600, SLIPWAY_ENV="local", **variables)

    def _run(self, argv: list[str], timeout: float, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "SLIPWAY_VENV": sys.prefix, "MYPY_CACHE_DIR": str(paths.ROOT / ".mypy_cache"), **variables}
        # Node talks to its shells through sockets. Bash takes that for a remote login and reads ~/.bashrc, which adds
        # variables to a job, unless it knows that a shell is around it.
        env["SHLVL"] = "1"
        env = {name: value for name, value in env.items() if not name.startswith("PYTEST")}
        return subprocess.run(
            argv, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )

    def commit(self, message: str, files: Mapping[str, str]) -> str:
        """Adds text to files in a new commit, which the pipeline is then about."""
        for name, text in files.items():
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(text)
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
        for words in (["add", "--all"], ["commit", "--quiet", "-m", message]):
            subprocess.run(["git", *who, *words], cwd=self.folder, check=True, timeout=60)
        words = ["git", "rev-parse", "HEAD"]
        self.sha = subprocess.run(words, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()
        return self.sha

    def pipeline(self, *jobs: str, **variables: str) -> Pipeline:
        """Runs these jobs for real, in the order of their needs, for the environment local."""
        overlay = self.folder / OVERLAY
        overlay.parent.mkdir(exist_ok=True)
        overlay.write_text(WITHOUT_SERVICES, encoding="utf-8")
        given = [f"--variable={name}={value}" for name, value in {"SLIPWAY_ENV": "local", **variables}.items()]
        done = self.run(f"--file={OVERLAY}", *SHELL, *given, *jobs)
        return Pipeline(f"{done.stdout}\n{done.stderr}")

    @property
    def made(self) -> Path:
        """What the jobs handed on about the commit."""
        return self.folder / ".slipway" / "releases" / self.sha

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
