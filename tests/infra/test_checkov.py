"""checkov over the root: the real one finds what is planted and nothing else; its failures are sentences."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from tasks.lib import settings, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import waivers
from tasks.lib.gates.waivers import Waivers
from tasks.lib.infra import checkov
from tasks.lib.infra.place import Place
from tests.infra.rooted import ROOT

PLANTED = 'resource "aws_ebs_volume" "planted" {\n  availability_zone = "us-east-1a"\n  size = 1\n}\n'
ANSWER = {"check_id": "CKV_AWS_1", "check_name": "Ensure it", "resource": "aws_x.y", "file_path": "/main.tf"}


def place(root: Path, environment: str = "production") -> Place:
    env = settings.load(environment)
    return Place(env, env.infra, root, root / f"environments/{environment}.tfvars", root.parent, "0" * 40, "0" * 40)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_finds_what_is_planted_and_nothing_else(c: Context, tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "root", ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
    (tmp_path / "root/planted.tf").write_text(PLANTED)
    found = checkov.judge(c, place(tmp_path / "root"))
    assert {one.address for one in found.violations} == {"aws_ebs_volume.planted"}
    assert {one.rule for one in found.violations} >= {"CKV_AWS_3"}
    assert found.faults == []  # every waiver holds, and is needed
    assert found.asked > 200


def answers(monkeypatch: pytest.MonkeyPatch, folder: Path, printed: Any) -> Path:
    """A program that prints this, and writes the variables it was given into a file."""
    text = printed if isinstance(printed, str) else json.dumps({"check_type": "terraform", "results": printed})
    program = folder / "checkov"
    program.write_text(f"#!/bin/sh\nenv > {folder}/env\nprintf %s {shlex.quote(text)}\n")
    program.chmod(0o755)
    monkeypatch.setattr(tools, "path", lambda *_: program)
    monkeypatch.setattr(waivers, "load", Waivers)
    return folder / "env"


def test_a_check_that_a_comment_switches_off_is_a_finding(
    c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, tmp_path, {"passed_checks": [ANSWER], "skipped_checks": [ANSWER]})
    (one,) = checkov.judge(c, place(ROOT)).violations
    assert (one.rule, one.address) == ("CKV_AWS_1", "aws_x.y")
    assert "switches the check off" in one.title


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ({"passed_checks": [ANSWER], "parsing_errors": ["/x/main.tf"]}, r"could not read main\.tf"),
        ({"passed_checks": []}, "could not read terraform"),
        ("Traceback", "no report"),
        ('{"passed": 0, "failed": 0}', "no report"),
    ],
)
def test_who_did_not_look_says_so(
    c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: Any, told: str
) -> None:
    answers(monkeypatch, tmp_path, printed)
    with pytest.raises(Stop, match=told) as caught:
        checkov.judge(c, place(ROOT))
    assert caught.value.code == Code.COULD_NOT_RUN


def test_settings_of_the_machine_do_not_count(c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKV_SKIP_CHECK", "CKV_AWS_3")
    seen = answers(monkeypatch, tmp_path, {"passed_checks": [ANSWER]})
    checkov.judge(c, place(ROOT))
    told = seen.read_text()
    assert "CKV_SKIP_CHECK" not in told
    assert "BC_SKIP_MAPPING=TRUE" in told
    assert "HOME=/root\n" not in told
