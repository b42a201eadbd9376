"""The lines of docs/runbooks in the lab, as a person on call types them: all that look, one of each that changes."""

from __future__ import annotations

import re
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

from tasks.lib import runbooks, tools
from tests.lifecycle.world import World
from tests.runbooks import lines

pytestmark = [pytest.mark.lab, pytest.mark.slow]

TYPED = [line for page in runbooks.pages() for line in lines.fenced(page.text)]
OURS = [(line, lines.words(line)[1]) for line in TYPED if line.startswith("./inv ")]
KUBECTL = [line for line in TYPED if line.startswith("kubectl ") and not lines.outside(line)]
LOOKS = [line for line in KUBECTL if lines.ANOTHER_POD not in line]
TROUBLE = re.compile(r"error|unable|unknown|not found|cannot", re.IGNORECASE)


def unique(found: list[str]) -> list[str]:
    """Lines that differ in more than their comment and what they give as reason, in the pages' order."""
    forms = {re.sub(r"--(reason|lift-hold) ?\S*", r"--\1", " ".join(form(line))): line for line in reversed(found)}
    return list(reversed(forms.values()))


def form(line: str) -> list[str]:
    """The words of a line, what is quoted as one."""
    return [re.sub(r"\s", "_", word) for word in lines.words(line)]


def filled(world: World, line: str, sha: str = "") -> str:
    text = line.replace(runbooks.CONTEXT, world.scratch.lab.context).replace(runbooks.ENV, world.env)
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    return re.sub(r"\bSHA\b", sha[:12], text).replace(" TIME ", f" {tomorrow:%Y-%m-%dT%H:%M} ")


def type_(world: World, line: str, sha: str = "", ok: tuple[int, ...] = (0,)) -> str:
    """Types an ./inv line of a page; its output."""
    return world.scratch.inv(*lines.words(filled(world, line, sha))[1:], ok=ok).stdout


def shell(world: World, line: str) -> subprocess.CompletedProcess[str]:
    """Types any other line, where kubectl is on PATH and finds the lab as `./inv lab.up` says."""
    folder = tools.path(world.scratch.c, "kubectl").parent
    export = f"export PATH={folder}:$PATH KUBECONFIG={world.scratch.lab.kubeconfig}"
    return subprocess.run(["sh", "-c", f"{export}; {filled(world, line)}"], capture_output=True, text=True, timeout=60)


def looks() -> list[str]:
    return unique([line for line, task in OURS if task in lines.LOOKS])


@pytest.mark.parametrize("line", looks())
def test_a_line_that_looks_runs(world: World, line: str) -> None:
    a = world.given("a")
    # What a machine lacks is doctor's answer, not a fault of the line.
    out = type_(world, line, a, ok=(0, 4) if "doctor" in line else (0,))
    said = {
        "smoke": "6 checks passed",
        "gitops.drift": f"{world.env} is what Git says",
        "gitops.wait": f"{world.env} runs {a[:12]}",
        "release.verify": f"{world.env} takes {a[:12]}",
        "why": "runs here",
    }
    assert said.get(lines.words(line)[1], "") in out


@pytest.mark.parametrize("line", unique(LOOKS))
def test_a_kubectl_line_runs(world: World, line: str) -> None:
    world.given("a")

    def runs() -> bool:
        done = shell(world, line)
        # A grep that finds nothing on a good day ends with 1; of kubectl's own trouble, its stderr tells.
        return done.returncode in ((0, 1) if "| grep" in line else (0,)) and not TROUBLE.search(done.stderr)

    world.comes(line, runs, 90)  # the first measurements of new pods take a while


def test_the_lines_that_change_something_do_what_the_pages_say(world: World) -> None:
    a, b = world.sha("a"), world.given("b")

    def of(name: str) -> list[str]:
        return unique([line for line, task in OURS if task == name])

    for line in of("freeze"):
        assert f"{world.env} is frozen until" in type_(world, line)
    assert "frozen: " in world.inv("deploy", "--release", a, "--lift-hold", "a try", ok=(5,)).stderr

    without, to = sorted(of("rollback"), key=lambda line: "--to" in line)
    assert f"on hold: {b[:12]}" in type_(world, without)
    assert world.pinned() != b
    type_(world, to, a)
    world.agree(a)

    for line in of("unfreeze"):
        type_(world, line)
    assert f"{world.env} is not frozen" in world.inv("unfreeze", "--reason", "again").stdout
    (deploy,) = of("deploy")
    assert f"{world.env} runs {b[:8]}" in type_(world, deploy, b)
    world.agree(b)


def test_a_pod_that_stands_out_is_replaced(world: World) -> None:
    a = world.given("a")
    name = next(iter(world.answers()))
    (line,) = {line.partition("#")[0] for line in KUBECTL if lines.ANOTHER_POD in line}
    done = shell(world, line.replace("NAME", name))
    assert (done.returncode, f'"{name}" deleted' in done.stdout) == (0, True), done.stderr
    world.comes("another pod", lambda: name not in world.answers() and world.trouble(a) == "")
