"""A rehearsal overrides places as data: the environments that are shipped become the lab's, and are their own after."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tasks.lib import rehearsal, settings
from tasks.lib.errors import Code, Stop
from tasks.lib.lab import rehearsing, teardown
from tasks.lib.lab.layout import Home


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPWAY_LAB_HOME", str(tmp_path / "lab"))
    return tmp_path / "lab"


def test_staging_and_production_are_the_labs_with_their_own_rules(capsys: pytest.CaptureFixture[str]) -> None:
    before = settings.load("production")
    rehearsing.begin(rehearsing.names("staging, production"))
    assert "production is rehearsed here, in namespace slipway-production" in capsys.readouterr().out
    for name in ("staging", "production"):
        env, local = settings.load(name), settings.load("local")
        assert (env.rehearsed, env.cluster.kind, env.registry, env.git, env.signing) == (True, "lab", None, None, None)
        assert (env.ask, env.allow_dirty, env.namespace) == (True, False, f"slipway-{name}")
        assert (env.gates.allow_snapshot, env.gates.required_coverage) == (True, local.gates.required_coverage)
        assert env.gates.severities == before.gates.severities
    assert settings.load("production").promotion == before.promotion
    assert not settings.load("local").rehearsed
    assert rehearsing.hosted() == {"staging": "slipway-staging", "production": "slipway-production"}
    rehearsal.forget(["staging", "production"])
    assert settings.load("production") == before
    assert not rehearsal.file().exists()


def test_a_section_is_overridden_key_by_key() -> None:
    rehearsing.begin(rehearsing.names("staging,production"))
    file = rehearsal.file()
    over = json.loads(file.read_text())
    over["production"]["promotion"] = {"soak": "20s", "approvals": {"required": 0}}
    file.write_text(json.dumps(over))
    promotion = settings.load("production").promotion
    assert promotion is not None
    assert (promotion.from_, promotion.soak) == ("staging", timedelta(seconds=20))
    assert (promotion.approvals.required, promotion.approvals.signers) == (0, "gitops/allowed_signers")


def test_beginning_again_adds_and_forgets_nothing() -> None:
    rehearsing.begin(rehearsing.names("staging"))
    rehearsing.begin(rehearsing.names("production"))
    assert set(rehearsing.hosted()) == {"staging", "production"}
    rehearsing.begin(rehearsing.names(""))
    assert set(rehearsing.hosted()) == {"staging", "production"}


@pytest.mark.parametrize(
    ("names", "says", "fix"),
    [
        ("stagin", "unknown environment 'stagin'", "./inv status"),
        ("local", "local runs in the lab anyway", "./inv deploy --env local"),
        (
            "production",
            "production takes releases from staging, which is not rehearsed",
            "./inv lab.up --rehearse staging,production",
        ),
    ],
)
def test_what_cannot_be_rehearsed_is_refused(names: str, says: str, fix: str) -> None:
    with pytest.raises(Stop, match=says) as caught:
        rehearsing.names(names)
    assert (caught.value.code, caught.value.fix) == (Code.USAGE, fix)
    assert rehearsing.hosted() == {}


def test_a_damaged_file_is_one_sentence(home: Path) -> None:
    home.mkdir()
    rehearsal.file().write_text("{")
    with pytest.raises(Stop, match=r"rehearsal file .* cannot be read") as caught:
        settings.load("staging")
    assert caught.value.code == Code.USAGE


def test_lab_down_takes_it_away(home: Path) -> None:
    rehearsing.begin(rehearsing.names("staging"))
    teardown.delete(Home(home))
    assert not home.exists()
    assert not settings.load("staging").rehearsed


def test_the_file_of_an_environment_cannot_say_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "environment.yaml").write_text("cluster: {kind: lab}\nrehearsed: true\n")
    with pytest.raises(Stop, match="rehearsed: unknown key"):
        settings.load("mine", tmp_path)
