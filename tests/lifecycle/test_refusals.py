"""What may not happen is refused before anything changes, and the refusal says what to do instead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.lib import registry
from tasks.lib.bench import cleaning
from tests.lifecycle.world import SERVICE, World, swap

pytestmark = pytest.mark.lab


@pytest.fixture
def untouched(world: World) -> Iterator[World]:
    """The world, whose Git and cluster a refusal must leave as they were."""
    before = (world.log(), world.deployment().get("metadata", {}).get("generation"))
    yield world
    assert (world.log(), world.deployment().get("metadata", {}).get("generation")) == before


def test_an_older_release_never_replaces_a_newer_one(world: World) -> None:
    a, b = world.sha("a"), world.given("b")
    refused = world.inv("deploy", "--release", a, ok=(5,)).stderr
    assert "superseded" in refused
    assert f"rollback --env {world.env} --to {a[:12]}" in refused
    world.agree(b)


@pytest.mark.parametrize(
    ("to", "says"), [("deadbeef", "no commit deadbeef"), ("nonsense", "no commit nonsense"), ("--help-me", "revision")]
)
def test_an_unknown_target_is_refused(untouched: World, to: str, says: str) -> None:
    refused = untouched.inv("rollback", f"--to={to}", ok=(2,)).stderr
    assert says in refused
    assert "the nearest safe release is" in refused


def test_an_ambiguous_target_is_refused(world: World) -> None:
    """Every release's SHA starts with one of 16 digits, so some digit is shared once enough of them ran here."""
    world.given("a")
    digit = world.sha("a")[0]
    scratch = world.scratch
    twin = next(
        sha
        for number in range(400)
        if (sha := scratch.commit({"twin": str(number)}, "twin", world.sha("a"))).startswith(digit)
    )
    scratch.inv("scan", "--env", world.env, "--release", twin, "build", "--env", world.env, "--release", twin)
    world.inv("deploy", "--release", twin, "--lift-hold", "the next test")
    before = world.log()
    refused = world.inv("rollback", "--to", digit, ok=(2,)).stderr
    assert "is ambiguous" in refused
    assert world.sha("a")[:12] in refused
    assert twin[:12] in refused
    assert world.log() == before

    # And with the twin's image gone, the way back to it is refused, too.
    world.given("b")
    digest = registry.digest(scratch.c, f"{scratch.repository}:{twin}")
    cleaning.delete(scratch, f"{scratch.repository}@{digest}")
    before = world.log()
    refused = world.inv("rollback", "--to", twin, ok=(5,)).stderr
    assert "gone from the registry" in refused
    assert f"the nearest safe release is {world.sha('a')[:12]}" in refused
    assert f"./inv rollback --env {world.env} --to {world.sha('a')[:12]}" in refused
    assert world.log() == before


def test_an_image_without_a_record_is_refused(untouched: World) -> None:
    scratch = untouched.scratch
    sha = scratch.commit({"smuggled": "in"}, "an image that no gate has seen", untouched.sha("a"))
    crane = ("crane", "mutate", f"{scratch.repository}:{untouched.sha('a')}")
    _crane(untouched, *crane, "--label", "smuggled=in", "--tag", f"{scratch.repository}:{sha}")
    try:
        refused = untouched.inv("deploy", "--release", sha, ok=(5,)).stderr
        assert "has no signed release record" in refused
    finally:
        cleaning.delete(scratch, f"{scratch.repository}:{sha}")


def test_an_image_with_another_commits_record_is_refused(untouched: World) -> None:
    """For a deploy, and for a rollback to a commit that the remote has and that never ran here."""
    scratch, a = untouched.scratch, untouched.sha("a")
    newer = scratch.commit({"borrowed": "record"}, "an image of another commit", a)
    older = scratch.git("rev-parse", f"{a}~1")
    for words, sha in ((("deploy", "--release"), newer), (("rollback", "--to"), older)):
        _crane(untouched, "crane", "tag", f"{scratch.repository}:{a}", sha)
        refused = untouched.inv(*words, sha, ok=(5,)).stderr
        assert "predicate.commit" in refused


def test_what_was_never_built_is_refused(untouched: World) -> None:
    sha = untouched.scratch.commit({"new": "file"}, "not built", untouched.sha("a"))
    refused = untouched.inv("deploy", "--release", sha, ok=(5,)).stderr
    assert "nothing was built" in refused
    assert "./inv scan build" in refused


def test_a_dirty_tree_is_refused_and_dirty_is_said(world: World) -> None:
    a = world.given("a")
    scratch = world.scratch
    scratch.git("checkout", "--quiet", "--force", "--detach", a)
    path = scratch.folder / SERVICE
    path.write_text(swap("Tells the time", "Tells a time")(path.read_text()))
    try:
        refused = world.inv("deploy", ok=(5,)).stderr
        assert "uncommitted changes" in refused
        assert SERVICE in refused
        refused = world.inv("deploy", "--dirty", env=f"{world.env}-foreign", ok=(5,)).stderr
        assert "takes no releases with uncommitted changes" in refused
        world.agree(a)
        words = ["scan", "--env", world.env, "--dirty"]
        for task in ("build", "deploy"):
            words += [task, "--env", world.env, "--dirty"]
        scratch.inv(*words, "--lift-hold", "the next test")
        snapshot = world.pinned()
        assert snapshot != a
        world.agree(snapshot)
        assert path.read_text().count("Tells a time") == 1
        assert scratch.git("status", "--porcelain") == f"M {SERVICE}"
    finally:
        scratch.git("checkout", "--quiet", "--force", "--detach", a)


def test_another_cluster_than_the_lab_goes_the_same_way(world: World) -> None:
    """The lab's kubeconfig, registry and remote, named as a person names a cluster of their own."""
    a, env = world.given("a"), f"{world.env}-foreign"
    unpushed = world.scratch.commit({"not": "pushed"}, "not on the remote", a)
    refused = world.inv("deploy", "--release", unpushed, "--yes", env=env, ok=(5,)).stderr
    assert f"git push origin {unpushed}:main" in refused
    refused = world.inv("deploy", "--release", a, env=env, ok=(2,)).stderr
    assert "add --yes" in refused
    assert world.pinned(env) == ""

    world.inv("deploy", "--release", a, "--yes", env=env)
    world.agree(a, env)
    world.agree(a)
    world.inv("smoke", env=env)


def _crane(world: World, *words: str) -> None:
    from tasks.lib import tools
    from tasks.lib.runner import run

    run(world.scratch.c, [tools.path(world.scratch.c, words[0]), *words[1:]], step="crane", timeout=60, quiet=True)
