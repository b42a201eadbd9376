"""Real scanners over small repositories; the tests of one worker share nothing with those of another."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import paths, settings, tools
from tasks.lib.gates import evidence
from tasks.lib.settings import Environment
from tests.gates.published import elsewhere, made, production, registry  # noqa: F401 - fixtures

CI_VARIABLES = ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "CI_COMMIT_BEFORE_SHA", "CI_DEFAULT_BRANCH", "SAFETY_API_KEY")


@pytest.fixture(scope="session")
def programs() -> dict[str, Path]:
    """The real scanners, looked up before any test gets a cache of its own."""
    return tools.paths(
        Context(), ["trufflehog", "safety", "trivy", "trivydb", "helm", "kubeconform", "bandit", "shellcheck"]
    )


@pytest.fixture
def env() -> Environment:
    return settings.load("local")


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """Reports go to the test's own folder, and no pipeline's variables reach it."""
    monkeypatch.setattr(paths, "work", lambda: tmp_path / "work")
    monkeypatch.setattr(evidence, "folder", lambda: tmp_path / "evidence")
    for name in CI_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    # Verification must not depend on whether the machine reaches the internet.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    if "programs" in request.fixturenames:
        found: dict[str, Path] = request.getfixturevalue("programs")
        monkeypatch.setattr(tools, "path", lambda _c, name: found[name])
    return tmp_path


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: dict[str, Path]) -> Callable[[str, str], None]:
    """use("trufflehog", "exit 0"): puts a shell script in the place of one scanner."""

    def replace(name: str, script: str) -> None:
        fake = tmp_path / f"fake-{name}"
        fake.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        fake.chmod(0o755)
        monkeypatch.setattr(tools, "path", lambda _c, asked: fake if asked == name else programs[asked])

    return replace


class Repo:
    """A Git repository that a test writes commits into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.clock = 1_700_000_000
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in WHO.items()}
        dates = {f"GIT_{role}_DATE": f"{self.clock} +0000" for role in ("AUTHOR", "COMMITTER")}
        done = subprocess.run(
            ["git", "-C", str(self.path), *words],
            env={**os.environ, **who, **dates, "GIT_CONFIG_GLOBAL": "/dev/null"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str | None], message: str = "change") -> str:
        """Writes (None: deletes) files and commits; each commit is a minute later than the one before."""
        self.clock += 60
        for name, text in files.items():
            target = self.path / name
            if text is None:
                target.unlink()
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


WHO = {"NAME": "A Person", "EMAIL": "person@example.org"}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")
