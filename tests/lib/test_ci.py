"""What a pipeline tells us, and nothing outside of one."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.lib import ci, paths, registry, terminal


def test_outside_of_a_pipeline_a_person_acts() -> None:
    assert not ci.in_ci()
    assert ci.actor("Ann <ann@example.com>") == "Ann <ann@example.com>"
    assert ci.pipeline() == {}
    assert ci.registry_login() == ""
    assert ci.default_branch() == "main"


def test_in_a_job_the_job_acts_for_who_started_it(gitlab: Mapping[str, str]) -> None:
    assert ci.in_ci()
    assert ci.actor("runner <r@localhost>") == f"ann through {gitlab['CI_JOB_URL']}"
    assert ci.pipeline() == {"url": gitlab["CI_JOB_URL"], "pipeline": "42", "job": "build", "ref": "main"}


@pytest.mark.parametrize(("before", "base"), [("0" * 40, ""), ("", ""), ("4f2c9e1", "4f2c9e1")])
def test_forty_zeros_are_no_commit(monkeypatch: pytest.MonkeyPatch, before: str, base: str) -> None:
    monkeypatch.setenv("CI_COMMIT_BEFORE_SHA", before)
    assert ci.pushed_from() == base


def test_only_gitlab_gets_section_marks(gitlab: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with ci.section("Build image"):
        terminal.raw("inside")
    out = capsys.readouterr().out
    assert "section_start:" in out
    assert out.index(":build_image\r\x1b[0KBuild image") < out.index("inside") < out.index("section_end:")


def test_elsewhere_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    with ci.section("Build image"):
        terminal.raw("inside")
    assert capsys.readouterr().out == "inside\n"


def test_the_pipelines_logins_become_dockers(
    gitlab: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path / "checkout")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    assert registry.docker_config() == tmp_path / ".docker"
    for name, value in (
        ("CI_REGISTRY", "registry.example.com"),
        ("CI_REGISTRY_USER", "u"),
        ("CI_REGISTRY_PASSWORD", "p"),
    ):
        monkeypatch.setenv(name, value)
    file = registry.docker_config() / "config.json"
    assert file.is_relative_to(tmp_path / "checkout" / ".slipway")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {
        "auths": {"registry.example.com": {"auth": base64.b64encode(b"u:p").decode()}}
    }
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", '{"auths": {}}')
    assert json.loads((registry.docker_config() / "config.json").read_text()) == {"auths": {}}
    own = tmp_path / ".docker" / "config.json"
    own.parent.mkdir()
    own.write_text("{}")
    assert registry.docker_config() == own.parent
