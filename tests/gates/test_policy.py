"""What an environment demands of a database: kind, age, and coverage that the planted positives proved."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from invoke.context import Context

from tasks.lib import gates, git, settings
from tasks.lib.errors import Stop
from tasks.lib.gates import judgement, policy, store, waivers
from tasks.lib.gates.models import Canary, Covered, Database, Outcome, Report, Verdict
from tasks.lib.settings import Environment, Gates

SHA = "c" * 40
DEBIAN = "debian 12.8"


@pytest.fixture
def production(env: Environment) -> Environment:
    """Settings as production has them where it says nothing of its own."""
    return env.model_copy(update={"name": "production", "gates": Gates()})


def database(days: float = 1, snapshot: bool = False, covers: tuple[str, ...] = ("pip", "debian")) -> Database:
    date = datetime.now(timezone.utc) - timedelta(days=days)
    return Database(source="somewhere", date=date, digest="sha256:0", snapshot=snapshot, covers=list(covers))


def judged(env: Environment, gate: str, known: Database, system: str = DEBIAN) -> str:
    return policy.unusable(env, gate, known, known.covers, system)


def test_what_is_new_and_proven_is_usable(production: Environment) -> None:
    assert judged(production, "image", database()) == ""
    assert judged(production, "deps", database(covers=("pip",)), system="") == ""


@pytest.mark.parametrize(
    ("known", "system", "said"),
    [
        (database(snapshot=True), DEBIAN, "only the shipped snapshot of .* which production does not accept"),
        (database(days=8), DEBIAN, "8 days old; production allows 7"),
        (database(days=-3), DEBIAN, "dated in the future"),
        (database(covers=("pip",)), DEBIAN, "^the database covers pip but production demands debian too$"),
        (database(covers=("pip", "debian")), "alpine 3.20.1", "covers pip and debian but production demands alpine"),
        (database(covers=()), DEBIAN, "covers nothing but production demands pip and debian"),
        (database(), "", "operating system of the image, which was not recognised"),
    ],
)
def test_what_is_not_is_said(production: Environment, known: Database, system: str, said: str) -> None:
    assert re.search(said, judged(production, "image", known, system))


def test_coverage_is_a_setting(env: Environment) -> None:
    only_pip = env.model_copy(update={"gates": Gates(required_coverage=["pip"])})
    assert judged(only_pip, "image", database(covers=("pip",))) == ""
    named = env.model_copy(update={"gates": Gates(required_coverage=["pip", "debian"])})
    assert "demands debian too" in judged(named, "image", database(covers=("pip",)), system="")
    # The gate of the requirements has nothing to do with an operating system, but always with Python packages.
    assert "demands pip too" in judged(only_pip, "deps", database(covers=()), system="")


def test_only_the_local_platform_does_without_the_operating_system() -> None:
    demanded = {name: settings.load(name).gates.required_coverage for name in settings.known()}
    assert [name for name, coverage in demanded.items() if "os" not in coverage] == ["local"]


def report(known: Database) -> Report:
    return Report(
        gate="image",
        commit=SHA,
        outcome=Outcome.PASS,
        database=known,
        covered=Covered(os=DEBIAN),
        canary=Canary(planted=["pip"], caught=["pip"]),
    )


def test_the_verdict_names_it_with_the_next_command(production: Environment) -> None:
    verdict = Verdict(commit=SHA, environment="production")
    why, fix = judgement._unusable(production, report(database(covers=("pip",))), verdict)
    assert why == "the database covers pip but production demands debian too"
    assert fix.startswith("./inv scan.update --env production, then ./inv scan.image")
    assert judgement._unusable(production, report(database()), verdict) == ("", "") and not verdict.warnings


def test_the_accepted_snapshot_is_said_aloud(env: Environment) -> None:
    verdict = Verdict(commit=SHA, environment="local")
    snapshot = report(database(days=700, snapshot=True, covers=("pip",)))
    assert judgement._unusable(env, snapshot, verdict) == ("", "")
    assert "compared with the shipped snapshot of" in verdict.warnings[0]


def test_scan_gate_ends_with_4_where_coverage_lacks(
    c: Context, production: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waivers, "of_commit", lambda *_: waivers.Waivers())
    monkeypatch.setattr(git, "ask", lambda *_, **__: "")
    for gate in gates.GATES:
        store.write(report(database()).model_copy(update={"gate": gate, "database": None}))
    store.write(report(database(covers=("pip",))))
    with pytest.raises(Stop, match="image could not run") as caught:
        gates.verdict(c, production, SHA)
    assert caught.value.code == 4
    assert "the database covers pip but production demands debian too" in capsys.readouterr().out
    store.write(report(database()))
    assert gates.verdict(c, production, SHA).passed
