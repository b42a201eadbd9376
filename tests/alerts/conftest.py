"""A copy of alerts/ that a test may break, and runbooks for every alert."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.lib.observe import rules
from tasks.lib.observe.files import FOLDER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of alerts/."""
    return Path(shutil.copytree(FOLDER, tmp_path / "alerts"))


@pytest.fixture
def runbooks(tmp_path: Path) -> Path:
    """A folder with an empty runbook for each alert."""
    there = tmp_path / "runbooks"
    there.mkdir()
    for _, rule in rules.read():
        (there / f"{rule.alert}.md").touch()
    return there
