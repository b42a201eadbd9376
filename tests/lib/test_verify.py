"""What a release record must say: each field that refuses is named, with what to do."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tasks.lib import verify
from tasks.lib.errors import Code, Stop
from tasks.lib.record import REQUIRED_GATES, CanaryEntry, Record, WaiverEntry
from tasks.lib.settings import Environment, Gates, Severity
from tests.lib.signed import BUILT, DIGEST, SHA, database, entry, environment, made, with_gate

TODAY = date(2026, 1, 10)
ENV = environment()


def waiver(expires: date = TODAY, **changes: Any) -> WaiverEntry:
    fields = {"id": "CVE-1", "package": "p", "applies": ["all"], "findings": {"HIGH": 1}, **changes}
    return WaiverEntry(expires=expires, **fields)


def problems(what: Record, env: Environment = ENV, digest: str = DIGEST) -> dict[str, str]:
    found = verify.checks(what, env, SHA, digest, today=TODAY)
    return {check.field: check.problem for check in found if check.problem}


def test_a_whole_record_is_taken_before_and_after_the_push() -> None:
    assert problems(made()) == {}
    assert problems(made(), digest="") == {}


def test_another_commit_or_image_is_refused() -> None:
    assert problems(made(commit="b" * 40)) == {"predicate.commit": "it is about bbbbbbbbbbbb"}
    assert list(problems(made(), digest="sha256:" + "0" * 64)) == ["subject.digest"]
    assert list(problems(made().model_copy(update={"subject": []}))) == ["subject.digest"]


@pytest.mark.parametrize("name", REQUIRED_GATES)
def test_each_gate_must_be_there_and_have_passed(name: str) -> None:
    others = [entry(other) for other in REQUIRED_GATES if other != name]
    assert problems(made(gates=others)) == {f"predicate.gates.{name}": "the gate is missing"}
    for outcome in ("findings", "could_not_run", "", "PASS"):
        assert list(problems(with_gate(name, outcome=outcome))) == [f"predicate.gates.{name}.outcome"]
    assert problems(with_gate(name, outcome="waived")) == {}


@pytest.mark.parametrize("canary", [CanaryEntry(planted=2, caught=1), CanaryEntry(planted=0, caught=0)])
def test_a_gate_that_was_blind_is_refused(canary: CanaryEntry) -> None:
    assert list(problems(with_gate("deps", canary=canary))) == ["predicate.gates.deps.canary"]


def test_uncommitted_changes_only_where_they_are_allowed() -> None:
    assert list(problems(made(dirty=True))) == ["predicate.dirty"]
    assert problems(made(dirty=True), environment(allow_dirty=True)) == {}


def test_findings_that_pass_in_one_environment_do_not_in_a_stricter_one() -> None:
    seen = with_gate("deps", counts={"MEDIUM": 2, "LOW": 1})
    strict = environment(gates=Gates(severities=[Severity.HIGH, Severity.MEDIUM]))
    assert problems(seen) == {}
    assert problems(seen, strict) == {
        "predicate.gates.deps.counts": "2 MEDIUM that no waiver covers, which staging does not accept"
    }
    assert list(problems(with_gate("deps", counts={"UNKNOWN": 1}))) == ["predicate.gates.deps.counts"]
    waived = with_gate("deps", counts={"MEDIUM": 2}, waivers=[waiver(findings={"MEDIUM": 2})])
    assert problems(waived, strict) == {}


def test_a_waiver_counts_until_its_day_and_where_it_applies() -> None:
    def seen(**changes: Any) -> Record:
        return with_gate("deps", outcome="waived", counts={"HIGH": 1}, waivers=[waiver(**changes)])

    yesterday = TODAY - timedelta(days=1)
    assert problems(seen()) == {}
    assert problems(seen(expires=yesterday)) == {
        "predicate.gates.deps.waivers.CVE-1.expires": "the waiver expired on 2026-01-09"
    }
    assert problems(seen(applies=["deps", "staging"])) == {}
    assert list(problems(seen(applies=["production"]))) == ["predicate.gates.deps.waivers.CVE-1.applies"]
    # What does not block here needs no waiver.
    low = with_gate("deps", counts={"LOW": 1}, waivers=[waiver(expires=yesterday, findings={"LOW": 1})])
    assert problems(low) == {}


def test_a_database_must_have_been_good_enough_when_it_was_used() -> None:
    def seen(**changes: Any) -> Record:
        return with_gate("image", database=database(**changes), covered={"os": "debian 12"})

    assert problems(seen()) == {}
    assert list(problems(seen(snapshot=True))) == ["predicate.gates.image.database.snapshot"]
    old = {"date": BUILT - timedelta(days=8)}
    assert list(problems(seen(**old))) == ["predicate.gates.image.database.date"]
    loose = environment(gates=Gates(allow_snapshot=True, max_database_age_days=8))
    assert problems(seen(snapshot=True, **old), loose) == {}


def test_what_the_environment_demands_must_have_been_covered() -> None:
    def seen(covers: list[str], system: str = "debian 12") -> list[str]:
        return list(problems(with_gate("image", database=database(covers=covers), covered={"os": system})))

    field = "predicate.gates.image.database.covers"
    assert seen(["pip", "debian"]) == []
    assert seen(["pip"]) == [field]
    assert seen(["pip", "debian"], system="") == [field]
    only_pip = environment(gates=Gates(required_coverage=["pip"]))
    assert problems(with_gate("image", database=database(covers=["pip"])), only_pip) == {}


def test_the_first_field_that_refuses_is_named_with_the_next_command() -> None:
    found = verify.checks(made(commit="b" * 40, dirty=True), ENV, SHA, DIGEST)
    with pytest.raises(Stop, match=r"refuses for staging: predicate\.commit: it is about bbbb") as caught:
        verify.demand(found, SHA, ENV)
    assert (caught.value.code, caught.value.fix) == (
        Code.REFUSED,
        "./inv scan --env staging build --env staging push --env staging",
    )


def test_the_way_back_asks_only_what_the_release_is(capsys: pytest.CaptureFixture[str]) -> None:
    expired = with_gate("deps", outcome="waived", counts={"HIGH": 1}, waivers=[waiver(date(2026, 1, 1))])
    verify.demand_lasting(verify.checks(expired, ENV, SHA, DIGEST, today=TODAY), SHA, ENV)
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: predicate.gates.deps.waivers.CVE-1.expires: the waiver expired on 2026-01-01" in said
    with pytest.raises(Stop, match=r"subject\.digest"):
        verify.demand_lasting(verify.checks(expired, ENV, SHA, "sha256:0", today=TODAY), SHA, ENV)
