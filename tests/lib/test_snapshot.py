"""Which commit a build takes: a clean tree's HEAD, what is asked for, or a snapshot where that is allowed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.lib import paths
from tests.lib.conftest import git

ASK = """
import json, sys
from invoke.context import Context
from tasks.lib import build, settings
from tasks.lib.errors import Stop
context = Context()
context.config.run.in_stream = False
env, release, dirty = sys.argv[1:]
try:
    print(json.dumps(build.commit_of(context, settings.load(env), release, bool(dirty))))
except Stop as stop:
    print(json.dumps([stop.code, stop.sentence, stop.fix]))
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this repository: the functions take the checkout that they belong to."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--shared", paths.ROOT, folder], check=True, timeout=120)
    for name in ("build.py", "git.py", "settings.py"):
        (folder / "tasks" / "lib" / name).write_bytes((paths.ROOT / "tasks" / "lib" / name).read_bytes())
    if git(folder, "status", "--porcelain"):
        git(folder, "commit", "--quiet", "--all", "-m", "as it is now")
    return folder


def commit_of(folder: Path, env: str = "local", release: str = "", dirty: str = "") -> object:
    words = [sys.executable, "-c", ASK, env, release, dirty]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_clean_tree_is_its_head(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD")
    assert commit_of(clone) == commit_of(clone, dirty="yes") == commit_of(clone, release=head[:10]) == head


@pytest.mark.slow
def test_uncommitted_changes_are_refused_told_or_taken_whole(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD")
    (clone / "README.md").write_text("changed")
    (clone / "new.txt").write_text("new")
    code, sentence, fix = commit_of(clone)  # type: ignore[misc]
    assert (code, "2 uncommitted changes (README.md, new.txt)" in sentence) == (5, True), sentence
    assert "--dirty" in fix
    code, sentence, _ = commit_of(clone, env="production", dirty="yes")  # type: ignore[misc]
    assert (code, sentence) == (5, "production takes no releases with uncommitted changes")
    assert commit_of(clone, release="HEAD") == head

    before = git(clone, "status", "--porcelain")
    taken = str(commit_of(clone, dirty="yes"))
    assert git(clone, "show", f"{taken}:README.md") == "changed"
    assert git(clone, "show", f"{taken}:new.txt") == "new"
    assert git(clone, "rev-parse", f"{taken}^") == head
    assert commit_of(clone, dirty="yes") == taken, "the same files give the same commit"
    assert (git(clone, "status", "--porcelain"), git(clone, "rev-parse", "HEAD")) == (before, head)
    assert not git(clone, "branch", "--contains", taken)
