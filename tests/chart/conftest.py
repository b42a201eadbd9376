from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart.rendering import Chart


@pytest.fixture(scope="session")
def helm() -> Path:
    """The real Helm: the one tasks use, found or installed as tasks do it."""
    from invoke import Context

    from tasks.lib import tools

    return tools.path(Context(), "helm")


@pytest.fixture
def chart(helm: Path) -> Chart:
    return Chart(helm)
