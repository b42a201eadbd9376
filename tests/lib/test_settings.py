"""Environment files: what is wrong is named with file, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.lib import settings
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import Severity

CONTEXT = """cluster: {kind: context, context: there}
registry: {repository: registry.example.com/team/service}
git: {url: https://git.example.com/team/slipway.git}
"""


def load(tmp_path: Path, text: str | bytes, name: str = "mine") -> settings.Environment:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    (folder / "environment.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return settings.load(name, tmp_path)


@pytest.mark.parametrize("name", settings.known())
def test_every_environment_that_is_shipped_holds(name: str) -> None:
    environment = settings.load(name)
    assert environment.name == name
    assert environment.folder == f"gitops/environments/{name}"


def test_only_the_local_platform_asks_nothing_and_takes_the_snapshot() -> None:
    loose = [
        name for name in settings.known() if not settings.load(name).ask or settings.load(name).gates.allow_snapshot
    ]
    assert loose == ["local"]


def test_defaults_are_strict(tmp_path: Path) -> None:
    environment = load(tmp_path, CONTEXT)
    assert (environment.ask, environment.allow_dirty, environment.gates.allow_snapshot) == (True, False, False)
    assert environment.gates.severities == [Severity.CRITICAL, Severity.HIGH]
    assert (environment.namespace, environment.application) == ("slipway-mine", "slipway-mine")


def test_an_unknown_environment_lists_the_known_ones(tmp_path: Path) -> None:
    load(tmp_path, CONTEXT)
    with pytest.raises(Stop, match="unknown environment 'yours'; known: mine") as caught:
        settings.load("yours", tmp_path)
    assert (caught.value.code, caught.value.fix) == (Code.USAGE, "./inv status")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CONTEXT + "replicas: 2\n", ["replicas: unknown key", "cluster, registry, git", "rollout"]),
        (CONTEXT + "gates: {severity: [HIGH]}\n", ["gates.severity: unknown key; allowed here: severities, max_data"]),
        (CONTEXT + "gates: {severities: [SEVERE]}\n", ["gates.severities.0", "'CRITICAL', 'HIGH'"]),
        (CONTEXT + "gates: {severities: []}\n", ["gates.severities", "at least 1"]),
        (
            CONTEXT + "gates: {max_database_age_days: 0}\n",
            ["gates.max_database_age_days", "greater than or equal to 1"],
        ),
        (CONTEXT + "name: other\n", ["name: unknown key", "the folder names the environment"]),
        ("cluster: {kind: cloud}\n", ["cluster", "'lab', 'context'"]),
        (
            "cluster: {kind: context, context: there, url: x}\n",
            ["cluster.context.url: unknown key", "context, kubeconfig"],
        ),
        ("ask: true\n", ["cluster: Field required"]),
        ("cluster: {kind: context, context: there}\n", ["registry, git: required unless cluster.kind is lab"]),
        ("cluster: [\n", ["is not YAML", "line 2"]),
        ("", ["holds no settings"]),
        (b"\xff\xfe\x00", ["is not YAML"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, told: list[str]) -> None:
    with pytest.raises(Stop) as caught:
        load(tmp_path, text)
    assert caught.value.code == Code.USAGE
    assert f"{tmp_path}/mine/environment.yaml" in caught.value.sentence
    for words in told:
        assert words in caught.value.sentence


PROMOTION = CONTEXT + "promotion: {from: staging%s}\n"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (", soke: 30m", "promotion.soke: unknown key; allowed here: from, soak, live, approvals"),
        (", soak: 30", "promotion.soak: Value error, '30' is no duration; a number and s, m, h or d, such as 30m"),
        (", approvals: {count: 2}", "promotion.approvals.count: unknown key; allowed here: required, signers, gitlab"),
        (", approvals: {signers: ../mine}", "promotion.approvals.signers: Value error, must be a path inside"),
    ],
)
def test_promotion_settings_that_are_wrong_are_named(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(Stop) as caught:
        load(tmp_path, PROMOTION % more)
    assert told in caught.value.sentence


def test_promotion_settings_have_a_soak_of_half_an_hour(tmp_path: Path) -> None:
    found = load(tmp_path, PROMOTION % "").promotion
    assert found is not None
    assert (found.from_, found.soak.total_seconds(), found.live, found.approvals.required) == ("staging", 1800, True, 0)
