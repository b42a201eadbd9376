"""The transaction against real Git remotes: nothing is lost, nothing older replaces newer, nothing else is touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import desired, guards, paths
from tasks.lib.desired import Change, State
from tasks.lib.errors import Code, Stop
from tasks.lib.git import is_ancestor
from tasks.lib.history import Action, Event, Hold
from tasks.lib.values import Release
from tests.lib.conftest import VALUES, World, git


def release(sha: str) -> Release:
    return Release(revision=sha, repository="127.0.0.1:5000/s", tag=sha, digest="sha256:" + sha[:8] * 8)


def deploy(c: Context, world: World, sha: str, guarded: bool = True, **event: object) -> State:
    target = world.target()

    def decide(state: State) -> Change | None:
        if guarded:

            def contains(newer: str, older: str) -> bool:
                return is_ancestor(c, older, newer, repo=state.clone)

            guards.held(state, sha, contains)
            guards.supersession(state, sha, contains)
        fields = {"action": Action.DEPLOY, "by": "Ann <ann@example.com>", "previous": state.release.revision, **event}
        return Change(Event(environment="local", release=sha, **fields), release(sha))  # type: ignore[arg-type]

    return desired.transact(c, target, decide, publish=sha)


def test_the_first_deploy_fills_an_empty_remote(c: Context, world: World) -> None:
    sha = git(world.checkout, "rev-parse", "HEAD")
    state = deploy(c, world, sha)
    assert state.release == release(sha)
    assert [event.action for event in state.events] == [Action.DEPLOY]
    assert git(world.remote, "show", "main:gitops/environments/local/values.yaml").startswith("# kept\n")
    assert "Slipway-By: Ann <ann@example.com>" in git(world.remote, "log", "-1", "--format=%B", "main")


@pytest.mark.slow
def test_publishing_brings_files_but_never_moves_a_release(c: Context, world: World) -> None:
    a = git(world.checkout, "rev-parse", "HEAD")
    deploy(c, world, a)
    b = world.commit("chart/new.yaml")
    target = world.target()
    note = Event(environment="local", action=Action.ARRIVED, release=a)
    state = desired.transact(c, target, lambda _: Change(note), publish=b)
    assert state.release.revision == a
    assert git(world.remote, "show", "main:chart/new.yaml") == "x"
    assert git(world.remote, "merge-base", "main", b) == b


@pytest.mark.slow
def test_publishing_never_removes_an_environment_that_another_branch_added(c: Context, world: World) -> None:
    a = git(world.checkout, "rev-parse", "HEAD")
    other = "gitops/environments/other"
    world.commit(f"{other}/environment.yaml", "cluster: {kind: lab}\n")
    world.commit(f"{other}/values.yaml", VALUES)
    sha = git(world.checkout, "rev-parse", "HEAD")
    target = replace(world.target(), env=world.target().env.model_copy(update={"name": "other"}))
    event = Event(environment="other", action=Action.DEPLOY, release=sha)
    desired.transact(c, target, lambda _: Change(event, release(sha)), publish=sha)
    git(world.checkout, "checkout", "--quiet", a)
    deploy(c, world, world.commit("b"))
    assert git(world.remote, "show", f"main:{other}/environment.yaml") == "cluster: {kind: lab}"
    assert desired.fetch(c, target).release == release(sha)


@pytest.mark.slow
def test_an_older_release_is_superseded(c: Context, world: World) -> None:
    a = git(world.checkout, "rev-parse", "HEAD")
    b = world.commit("b")
    deploy(c, world, b)
    with pytest.raises(Stop, match="superseded") as caught:
        deploy(c, world, a)
    assert caught.value.code == Code.REFUSED
    assert desired.fetch(c, world.target()).release.revision == b


@pytest.mark.parametrize(("hold", "refused"), [(Hold.RELEASE, False), (Hold.DESCENDANTS, True)])
@pytest.mark.slow
def test_a_hold_keeps_the_bad_release_away(c: Context, world: World, hold: Hold, refused: bool) -> None:
    a = git(world.checkout, "rev-parse", "HEAD")
    b = world.commit("b")
    deploy(c, world, b)
    deploy(c, world, a, guarded=False, action=Action.ROLLBACK, held=b, hold=hold, reason="500s")
    with pytest.raises(Stop, match="on hold"):
        deploy(c, world, b)
    fix = world.commit("fix")
    if refused:
        with pytest.raises(Stop, match="on hold"):
            deploy(c, world, fix)
    else:
        assert deploy(c, world, fix).release.revision == fix


def test_a_foreign_remote_must_hold_the_commit(c: Context, world: World) -> None:
    sha = git(world.checkout, "rev-parse", "HEAD")
    git(world.checkout, "push", "--quiet", str(world.remote), "HEAD:refs/heads/main")
    newer = world.commit("not-pushed")
    target = world.target(publishes=False)
    desired.adopt(c, desired.fetch(c, target), sha)
    with pytest.raises(Stop, match="does not hold commit") as caught:
        desired.adopt(c, desired.fetch(c, target), newer)
    assert caught.value.code == Code.REFUSED
    assert "git push" in caught.value.fix


@pytest.mark.slow
def test_racing_writers_lose_nothing(c: Context, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several writers, each with a clone of its own, record an event at the same time."""
    deploy(c, world, git(world.checkout, "rev-parse", "HEAD"))

    def write(number: int) -> None:
        note = Event(environment="local", action=Action.ARRIVED, release=f"{number:040x}")
        desired.transact(c, target(number), lambda _: Change(note))

    def target(number: int) -> desired.Target:
        link = tmp_path / f"remote-{number}"
        link.symlink_to(world.remote)
        base = world.target()
        return desired.Target(**{**base.__dict__, "git_url": str(link)})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    seen = {event.release for event in desired.fetch(c, world.target()).events}
    assert {f"{number:040x}" for number in range(6)} <= seen


def test_an_unreachable_remote_is_one_sentence(c: Context, world: World) -> None:
    target = desired.Target(**{**world.target().__dict__, "git_url": str(paths.ROOT / "nowhere.git")})
    with pytest.raises(Stop, match="fetch the desired state of local") as caught:
        desired.fetch(c, target)
    assert caught.value.code == Code.COULD_NOT_RUN


@pytest.mark.slow
def test_a_rejected_push_for_another_reason_is_told(c: Context, world: World) -> None:
    deploy(c, world, git(world.checkout, "rev-parse", "HEAD"))
    hook = world.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho protected branch >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Stop, match="protected branch"):
        deploy(c, world, world.commit("b"))
