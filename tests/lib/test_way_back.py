"""A rollback asks what the release is (signature, digest, commit) and only tells what is thought of it today."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timezone

import pytest

from tasks.lib import registry, rollback
from tasks.lib.delivery import Delivery
from tasks.lib.desired import State
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import store
from tasks.lib.gates.models import Finding, Outcome, Report
from tasks.lib.history import Action, Event
from tasks.lib.record import REQUIRED_GATES, WaiverEntry
from tasks.lib.settings import Severity
from tasks.lib.values import Release
from tests.lib import bundles
from tests.lib.conftest import World
from tests.lib.shop import Shop, shared, shop
from tests.lib.signed import SHA, entry, made

__all__ = ["shared", "shop"]

NOW = Release(revision="f" * 40, repository="r", tag="f" * 40, digest="sha256:" + "f" * 64)
GONE = WaiverEntry(id="CVE-1", package="p", expires=date(2026, 1, 9), findings={"HIGH": 1})


def values(release: Release) -> str:
    lines = [f'  {key}: "{value}"' for key, value in release.model_dump().items()]
    return "release:\n" + "\n".join(lines) + "\nvalues: {}\n"


def delivery(shop: Shop) -> Delivery:
    return Delivery(shop.c, shop.here, by="Ann")


def back(shop: Shop, world: World) -> Release:
    """The preflight of a rollback to the shop's release, which ran in the environment."""
    state = State(shop.here, world.checkout, "", NOW)
    commit = world.commit(state.file, values(shop.release))
    ran = Event(commit=commit, environment=shop.here.env.name, action=Action.ARRIVED, release=SHA)
    return rollback.preflight(delivery(shop), replace(state, events=[ran]), SHA)


@pytest.mark.slow
def test_what_is_thought_of_it_today_is_told_and_does_not_block(
    shop: Shop, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = [entry(name) for name in REQUIRED_GATES if name != "code"]
    gates[1] = entry("deps", "waived", counts={"HIGH": 1}, waivers=[GONE])
    shop.attach(made(gates=gates))
    capsys.readouterr()
    assert back(shop, world) == shop.release
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: predicate.gates.code: the gate is missing" in said
    assert "warning: predicate.gates.deps.waivers.CVE-1.expires: the waiver expired on 2026-01-09" in said


@pytest.mark.slow
def test_a_vulnerability_published_since_is_told(shop: Shop, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    shop.attach(made())
    finding = Finding(id="CVE-2030-7", severity=Severity.HIGH, title="t", package="flask", installed="1.0")
    report = Report(gate="deps", commit=SHA, outcome=Outcome.FINDINGS, findings=[finding])
    report.ended = datetime.now(timezone.utc)
    store.write(report)
    capsys.readouterr()
    assert back(shop, world) == shop.release
    said = " ".join(capsys.readouterr().out.split())
    assert "deps: a scan after the build saw CVE-2030-7 (HIGH) in flask 1.0; the way back stays open" in said


@pytest.mark.slow
def test_a_signature_that_does_not_hold_blocks_it(shop: Shop, world: World) -> None:
    shop.attach(made())

    def change(bundle: dict[str, dict[str, str]]) -> None:
        payload = bundle["dsseEnvelope"]["payload"]
        bundle["dsseEnvelope"]["payload"] = ("B" if payload[-8] == "A" else "A").join([payload[:-8], payload[-7:]])

    bundles.rewrite(shop.release, change)
    with pytest.raises(Stop, match="signature: no statement") as caught:
        back(shop, world)
    assert caught.value.code == Code.REFUSED


@pytest.mark.slow
def test_another_commits_record_blocks_it(shop: Shop, world: World) -> None:
    shop.attach(made("b" * 40))
    with pytest.raises(Stop, match=r"predicate\.commit: it is about bbbbbbbbbbbb"):
        back(shop, world)


@pytest.mark.slow
def test_what_never_ran_here_is_asked_everything(shop: Shop, world: World) -> None:
    sha = world.commit("never deployed")
    registry.tag(shop.c, f"{shop.here.repository}:{SHA}", sha)
    shop.attach(made(sha, gates=[entry(name) for name in REQUIRED_GATES if name != "code"]))
    with pytest.raises(Stop, match=r"predicate\.gates\.code: the gate is missing"):
        rollback.preflight(delivery(shop), State(shop.here, world.checkout, "", NOW), sha)
