"""A release as a person reads and checks it: the summary, the statement, and every field that refuses."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from tasks.lib import publish, record, releases, signing, verify
from tasks.lib.errors import Code, Stop
from tasks.lib.record import WaiverEntry
from tests.lib.shop import Shop, built, shared, shop
from tests.lib.signed import SHA, environment, with_gate

__all__ = ["shared", "shop"]


@pytest.mark.slow
def test_a_release_is_shown_and_every_check_holds(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    what = built(shop)
    publish.sign(shop.c, shop.here, signing.signer(shop.c, shop.here.env), shop.release, what)
    seen, found = releases.examine(shop.c, shop.here.env, SHA)
    assert seen == releases.find(shop.c, shop.here.env, SHA)
    assert not [check for check in found if check.problem]
    assert {"signature", "provenance", "sbom", "subject.digest", "predicate.commit"} <= {check.field for check in found}
    capsys.readouterr()
    releases.show(seen)
    said = capsys.readouterr().out
    for words in (SHA, shop.release.image, "Ann <ann@example.com> at a desk", "CRITICAL, HIGH block", "2 of 2"):
        assert words in said
    assert record.parse(seen.record.text(), "shown") == seen.record
    assert json.loads(seen.record.text())["subject"][0]["digest"]["sha256"] == shop.release.digest[7:]


@pytest.mark.slow
def test_what_is_missing_beside_the_record_is_named(shop: Shop) -> None:
    shop.attach(built(shop))
    _, found = releases.examine(shop.c, shop.here.env, SHA)
    assert [check.field for check in found if check.problem] == ["provenance", "sbom"]
    with pytest.raises(Stop, match="provenance: nothing signed is attached"):
        verify.demand(found, SHA, shop.here.env)


@pytest.mark.slow
def test_waivers_are_shown_with_their_day(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    waiver = WaiverEntry(id="CVE-2030-1", package="p", expires=date(2030, 1, 9), findings={"HIGH": 1})
    shop.attach(with_gate("deps", outcome="waived", counts={"HIGH": 1}, waivers=[waiver]))
    releases.show(releases.find(shop.c, shop.here.env, SHA))
    said = capsys.readouterr().out
    assert "CVE-2030-1 until 2030-01-09" in said
    assert "1 high" in said


def test_nothing_is_shown_of_what_is_not_there_or_not_signed(shop: Shop) -> None:
    with pytest.raises(Stop, match="has no image of bbbbbbbbbbbb") as caught:
        releases.find(shop.c, shop.here.env, "b" * 40)
    assert caught.value.code == Code.REFUSED
    with pytest.raises(Stop, match="has no signed release record"):
        releases.find(shop.c, shop.here.env, SHA)


def test_a_lab_that_is_down_is_not_brought_up_to_look(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_LAB_HOME", str(tmp_path / "no-lab"))
    with pytest.raises(Stop, match="the lab is down") as caught:
        releases.find(shop.c, environment(cluster={"kind": "lab"}), SHA)
    assert (caught.value.code, caught.value.fix) == (Code.COULD_NOT_RUN, "./inv lab.up")
