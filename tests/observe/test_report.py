"""The report of a deploy: a page with every panel before and after, or one sentence why there is none."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from invoke.context import Context

import tasks.delivery
import tasks.promotion
from tasks.lib import build, deploying, desired, paths, promotion, rollback, settings, target
from tasks.lib.desired import Change
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Event
from tasks.lib.lab import observing
from tasks.lib.observe import pictures, report
from tasks.lib.settings import Environment, Observe
from tasks.lib.values import Release
from tests.lib.conftest import World, world
from tests.observe.conftest import NEW, OLD, Watched, environment

__all__ = ["world"]

MINUTE = timedelta(minutes=1)


def observed(address: str) -> Environment:
    return environment().model_copy(update={"observe": Observe(prometheus=address)})


def move(c: Context, world: World, sha: str, action: Action = Action.DEPLOY) -> None:
    """What deploy and rollback leave in Git."""
    release = Release(revision=sha, repository="r", tag=sha, digest="sha256:" + "0" * 64)
    event = Event(environment="local", action=action, release=sha, by="Ann")
    desired.transact(c, world.target(), lambda _: Change(event, release))


@pytest.fixture
def remote(c: Context, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The desired state of the environment, with no cluster behind it."""
    subprocess.run(["git", "-C", world.checkout, "push", "--quiet", str(world.remote), "main"], check=True)
    monkeypatch.setattr(target, "of", lambda *_, **__: world.target())
    yield world


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def page(said: str) -> str:
    found = re.search(r"before and after: (\S+index\.html)", said)
    assert found, said
    return Path(found[1]).read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_panel_is_there_before_and_after(
    c: Context, remote: World, watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    with report.around(c, observed(watched.address), timedelta(seconds=2)):
        move(c, remote, NEW)
    text = page(said(capsys))
    assert re.findall(r'alt="([^"]+)"', text)[:4] == [
        "Request rate, before",
        "Request rate, after",
        "Error rate, before",
        "Error rate, after",
    ]
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == 2 * 9
    assert f"local, deploy of {NEW[:12]}" in text
    assert "It arrived and is healthy." in text
    assert text.count("▲ deploy") == 1
    assert not re.search(r"""(src|href)=["']?(?!["\']?data:)""", text)  # it can be sent


@pytest.mark.slow
def test_what_was_taken_back_is_reported_and_ends_as_it_did(
    c: Context,
    remote: World,
    watched: Watched,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "draw", lambda *_: {})  # the test above has them drawn
    failed = Stop("deployed it, but it did not get ready; rolled back", Code.UNHEALTHY, "./inv status")
    with pytest.raises(Stop) as stopped, report.around(c, observed(watched.address), timedelta()):
        move(c, remote, NEW)
        move(c, remote, OLD, Action.ROLLBACK)
        raise failed
    assert stopped.value is failed
    text = page(said(capsys))
    assert failed.sentence in text
    assert (text.count("▲ deploy"), text.count("▼ rollback")) == (1, 1)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (
            "",
            "gitops/environments/local/environment.yaml names no Prometheus; nothing else suffers. next: ./inv observe",
        ),
        (
            "http://127.0.0.1:1",
            "ask Prometheus at http://127.0.0.1:1: ConnectionError; nothing else suffers. next: curl",
        ),
    ],
)
@pytest.mark.parametrize("ended", [None, Stop("it was taken back", Code.UNHEALTHY)])
def test_without_a_prometheus_there_is_one_warning_and_nothing_else_changes(
    c: Context,
    remote: World,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    why: str,
    ended: Stop | None,
) -> None:
    monkeypatch.setattr(observing, "prometheus", lambda: None)

    def deploy() -> None:
        with report.around(c, observed(address), MINUTE):
            move(c, remote, NEW)
            if ended:
                raise ended

    began = datetime.now(timezone.utc)
    if ended:
        with pytest.raises(Stop) as stopped:
            deploy()
        assert stopped.value is ended
    else:
        deploy()
    assert datetime.now(timezone.utc) - began < MINUTE / 2  # nobody waits for what will not be drawn
    told = said(capsys)
    assert told.count("warning: no report: ") == 1
    assert why in told
    assert not (paths.work() / "snapshots").exists()


@pytest.mark.parametrize("error", [ValueError("odd"), OSError("disk full"), KeyboardInterrupt(), Stop("git is silent")])
def test_whatever_happens_to_the_report_the_deploy_ends_well(
    c: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(report, "write", broken)
    with report.around(c, environment(), MINUTE):
        pass
    told = said(capsys)
    assert told.startswith("warning: no report: ")
    assert told.endswith("nothing else suffers. next: ./inv observe.snapshot --env local")


@pytest.mark.parametrize("code", [Code.REFUSED, Code.COULD_NOT_RUN, Code.UNEXPECTED])
def test_what_was_refused_has_no_report(c: Context, monkeypatch: pytest.MonkeyPatch, code: Code) -> None:
    monkeypatch.setattr(report, "write", lambda *_: pytest.fail("nothing was brought in"))
    with pytest.raises(Stop), report.around(c, environment(), MINUTE):
        raise Stop("frozen", code)
    with pytest.raises(ValueError, match="odd"), report.around(c, environment(), MINUTE):
        raise ValueError("odd")
    with report.around(c, environment(), None):
        pass


def test_the_same_release_again_has_no_report(c: Context, remote: World, capsys: pytest.CaptureFixture[str]) -> None:
    move(c, remote, OLD)
    later = datetime.now(timezone.utc) + MINUTE
    assert report.write(c, observed("http://127.0.0.1:1"), later, MINUTE) is None


@pytest.mark.parametrize("text", ["", "soon", "-1m", "61m", "2h"])
def test_a_bad_watch_stops_before_anything_is_changed(c: Context, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(settings, "load", lambda _: environment())
    steps = ((build, "commit_of"), (deploying, "deploy"), (rollback, "rollback"), (promotion, "promote"))
    for module, name in steps:
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("something was done"))
    for task in (tasks.delivery.deploy, tasks.delivery.rollback, tasks.promotion.promote):
        with pytest.raises(Stop, match="--watch") as stopped:
            task(c, report=True, watch=text)
        assert (stopped.value.code, "--watch 5m" in stopped.value.fix) == (Code.USAGE, True)


@pytest.mark.parametrize(("flag", "asked"), [(True, MINUTE), (False, None)])
def test_deploy_promote_and_rollback_report_when_asked(
    c: Context, monkeypatch: pytest.MonkeyPatch, flag: bool, asked: timedelta | None
) -> None:
    seen = []
    around = report.around

    def watched(c: Context, env: Environment, watching: timedelta | None) -> object:
        seen.append(watching)
        return around(c, env, None)

    monkeypatch.setattr(report, "around", watched)
    monkeypatch.setattr(settings, "load", lambda _: environment())
    monkeypatch.setattr(build, "commit_of", lambda *_: NEW)
    monkeypatch.setattr(deploying, "deploy", lambda *_, **__: None)
    monkeypatch.setattr(rollback, "rollback", lambda *_, **__: None)
    monkeypatch.setattr(promotion, "promote", lambda *_, **__: None)
    for task in (tasks.delivery.deploy, tasks.delivery.rollback, tasks.promotion.promote):
        task(c, report=flag)
    assert seen == [asked] * 3
