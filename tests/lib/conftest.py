"""Real Git repositories in temporary folders; no network, no mocks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.lib import paths
from tasks.lib.settings import Environment, LabCluster
from tasks.lib.target import Target

VALUES = '# kept\nrelease:\n  revision: ""\n  repository: ""\n  tag: ""\n  digest: ""\nvalues: {}\n'


def git(repo: Path, *words: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", repo, *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class World:
    """A checkout with commits, and the remote of the desired state."""

    checkout: Path
    remote: Path

    def commit(self, name: str, text: str = "x") -> str:
        path = self.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        git(self.checkout, "add", "--all")
        git(self.checkout, "commit", "--quiet", "-m", f"change {name}")
        return git(self.checkout, "rev-parse", "HEAD")

    def target(self, publishes: bool = True) -> Target:
        return Target(
            env=Environment(name="local", cluster=LabCluster(kind="lab")),
            kubeconfig=Path("unused"),
            context="unused",
            repository="127.0.0.1:5000/slipway-service",
            git_url=str(self.remote),
            branch="main",
            publishes=publishes,
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    checkout, remote = tmp_path / "checkout", tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", remote], check=True)
    subprocess.run(["git", "init", "--quiet", "-b", "main", checkout], check=True)
    monkeypatch.setattr(paths, "ROOT", checkout)
    made = World(checkout, remote)
    (checkout / ".gitignore").write_text(".slipway/\n")
    made.commit("gitops/environments/local/values.yaml", VALUES)
    yield made
