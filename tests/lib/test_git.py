"""What real repositories answer."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import git
from tasks.lib.errors import Code, Stop
from tests.lib.conftest import World
from tests.lib.conftest import git as raw


def test_a_revision_is_a_full_sha_or_a_sentence(c: Context, world: World) -> None:
    sha = world.commit("a")
    repo = world.checkout
    raw(repo, "tag", "-a", "v1", "-m", "v1")
    for name in ("HEAD", "main", "v1", sha, sha[:8], sha.upper()):
        assert git.resolve(c, name, repo) == sha, name
    assert git.head(c, repo) == sha
    for wrong in ("", "--all", "nothing", "f" * 40, "HEAD~99"):
        with pytest.raises(Stop) as caught:
            git.resolve(c, wrong, repo)
        assert caught.value.code == Code.USAGE, wrong
        assert caught.value.fix == "git log --oneline -10"


def test_an_ambiguous_beginning_lists_who_it_could_be(c: Context, world: World) -> None:
    tree = raw(world.checkout, "rev-parse", "HEAD^{tree}")
    found: dict[str, bytes] = {}
    for number in range(5000):
        who = b"Ann <ann@example.com> 1700000000 +0000"
        text = b"tree %s\nauthor %s\ncommitter %s\n\n%d\n" % (tree.encode(), who, who, number)
        sha = hashlib.sha1(b"commit %d\0%s" % (len(text), text), usedforsecurity=False).hexdigest()
        if sha[:4] in found:
            break
        found[sha[:4]] = text
    twins = [_write(world, text) for text in (found[sha[:4]], text)]
    assert twins[1] == sha
    with pytest.raises(Stop, match=f"{sha[:4]} is ambiguous: ") as caught:
        git.resolve(c, sha[:4], world.checkout)
    assert all(twin[:12] in caught.value.sentence for twin in twins)
    assert raw(world.checkout, *caught.value.fix.split()[1:]).count("\n") == 1, "two lines, one for each"


def _write(world: World, text: bytes) -> str:
    words = ["git", "-C", world.checkout, "hash-object", "-t", "commit", "-w", "--stdin"]
    return subprocess.run(words, input=text, check=True, capture_output=True).stdout.decode().strip()


def test_a_commit_as_a_person_names_it(c: Context, world: World) -> None:
    sha = world.commit("a")
    found = git.commit(c, sha, world.checkout)
    assert (found.sha, found.short, found.subject) == (sha, sha[:8], "change a")
    assert found.author == "Ann <ann@example.com>"
    assert found.epoch == int(raw(world.checkout, "show", "-s", "--format=%ct", sha))


def test_what_is_uncommitted(c: Context, world: World) -> None:
    world.commit("a")
    assert git.dirty(c, world.checkout) == []
    (world.checkout / "a").write_text("changed")
    (world.checkout / "new file").write_text("x")
    (world.checkout / ".slipway").mkdir()
    (world.checkout / ".slipway" / "report").write_text("ignored")
    assert {name.strip('"') for name in git.dirty(c, world.checkout)} == {"a", "new file"}


def test_how_commits_relate(c: Context, world: World) -> None:
    a, b = world.commit("a"), world.commit("b")
    repo = world.checkout
    assert git.is_ancestor(c, a, b, repo)
    assert git.is_ancestor(c, a, a, repo)
    assert not git.is_ancestor(c, b, a, repo)
    assert not git.is_ancestor(c, "f" * 40, a, repo)
    assert git.has(c, a, repo)
    assert not git.has(c, "f" * 40, repo)
    assert [line.split(" ", 1)[1] for line in git.between(c, a, b, repo)] == ["change b"]
    assert len(git.between(c, "", b, repo)) == 3


def test_an_archive_is_the_commit_and_not_the_tree(c: Context, world: World, tmp_path: Path) -> None:
    sha = world.commit("service/app.py", "committed")
    (world.checkout / "service" / "app.py").write_text("changed")
    (world.checkout / "service" / "new.py").write_text("new")
    with tarfile.open(git.archive(c, sha, tmp_path / "deep" / "x.tar", "service", world.checkout)) as tar:
        assert tar.getnames() == ["app.py"]
        member = tar.extractfile("app.py")
        assert member
        assert member.read() == b"committed"


def test_a_folder_that_is_no_repository_is_a_sentence(c: Context, tmp_path: Path) -> None:
    with pytest.raises(Stop, match="ask Git: git ended with exit code 128") as caught:
        git.dirty(c, tmp_path)
    assert caught.value.code == Code.COULD_NOT_RUN
