"""The running lab, for tests marked `lab`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest
from invoke.context import Context

from tasks.lib import lab, paths, tools
from tasks.lib.lab import Lab


@pytest.fixture
def running(c: Context) -> Lab:
    """The lab, brought up or repaired when it needs it."""
    return lab.up(c)


@pytest.fixture
def kubectl(c: Context, running: Lab) -> Sequence[str]:
    """The start of a kubectl line that speaks to the lab's cluster."""
    program = str(tools.path(c, "kubectl"))
    return [program, "--kubeconfig", str(running.kubeconfig), "--context", running.context, "--request-timeout=20s"]


def inv(*words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs one line of ours as a user does."""
    line = [str(paths.ROOT / "inv"), *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL)
