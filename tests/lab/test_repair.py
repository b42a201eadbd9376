"""A lab that was damaged: the next lab.up puts it right, whatever was killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import lab, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.lab import Lab, cgroups, health, layout, listeners, processes, state
from tasks.lib.lab.layout import REGISTRY_PORT
from tests.lab.conftest import inv

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.slow]
PARTS = (
    "etcd",
    "apiserver",
    "controller-manager",
    "scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
    "docker",
    "registry",
    "git",
    "namespace",
)


def kill(name: str) -> int:
    """Ends one part the hard way and returns its pid."""
    part = processes.find(layout.home(), name)
    assert part is not None
    os.kill(part.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while processes.find(layout.home(), name) and time.monotonic() < deadline:
        time.sleep(0.02)
    return part.pid


def test_every_part_has_its_row_here(running: Lab) -> None:
    assert set(state.read(layout.home())["parts"]) == set(PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_a_killed_part_is_repaired(c: Context, running: Lab, name: str) -> None:
    dead = kill(name)
    assert lab.find() is None
    assert lab.up(c) == running
    part = processes.find(layout.home(), name)
    assert part is not None
    assert part.pid != dead
    assert health.answers(c, layout.home())
    time.sleep(1)
    assert health.answers(c, layout.home())  # and it stays so: nothing that it counts on was gone already


def test_pods_start_and_logs_are_read_after_the_engines_were_killed(running: Lab, kubectl: Sequence[str]) -> None:
    restart = [*kubectl, "rollout", "restart", "--namespace=kube-system", "deployment/coredns"]
    subprocess.run(restart, check=True, capture_output=True, timeout=30)
    status = [*kubectl, "rollout", "status", "--namespace=kube-system", "deployment/coredns", "--timeout=60s"]
    subprocess.run(status, check=True, capture_output=True, timeout=90)
    logs = [*kubectl, "logs", "--namespace=kube-system", "deployment/coredns"]
    assert "CoreDNS" in subprocess.run(logs, check=True, capture_output=True, text=True, timeout=30).stdout


def test_a_taken_port_is_named_and_repaired_when_it_is_free(c: Context, running: Lab) -> None:
    kill("registry")
    deadline = time.monotonic() + 10  # a killed server keeps its port until the last of its threads has ended
    while listeners.taken("127.0.0.1", REGISTRY_PORT) and time.monotonic() < deadline:
        time.sleep(0.05)
    with socket.create_server(("127.0.0.1", REGISTRY_PORT)), pytest.raises(Stop) as stop:
        lab.up(c)
    assert stop.value.code == Code.COULD_NOT_RUN
    assert f"Port {REGISTRY_PORT}" in stop.value.sentence
    assert f"(pid {os.getpid()})" in stop.value.sentence
    assert lab.up(c) == running


def test_two_at_once_make_one_repair(running: Lab) -> None:
    kill("registry")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: inv("lab.up"), range(2)))
    assert [one.returncode for one in done] == [0, 0], done
    living = [pid for pid in cgroups.processes(layout.home().cgroup) if processes.start_time(pid)]
    names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in living]
    assert names.count("docker-registry") == 1


def test_an_up_that_was_killed_half_way_is_finished_by_the_next(c: Context, running: Lab) -> None:
    kill("namespace")
    line = [str(paths.ROOT / "inv"), "lab.up"]
    half = subprocess.Popen(line, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while processes.find(layout.home(), "containerd") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(half.pid, signal.SIGKILL)
    half.wait()
    assert lab.find() is None
    assert lab.up(c) == running


def states(pid: int) -> list[str]:
    """Of each thread, as proc(5) abbreviates them."""
    return [stat.read_text().rpartition(") ")[2][0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]


def test_a_part_that_hangs_is_started_again(c: Context, running: Lab) -> None:
    part = processes.find(layout.home(), "registry")
    assert part is not None
    os.kill(part.pid, signal.SIGSTOP)
    try:
        while any(state != "T" for state in states(part.pid)):
            time.sleep(0.01)  # on a busy machine one of its threads may answer before all have stopped
        assert lab.find()  # it lives, and the kernel accepts connections for it: only a question shows that it hangs
        lab.up(c)
        again = processes.find(layout.home(), "registry")
        assert again is not None
        assert again.pid != part.pid
    finally:
        if processes.start_time(part.pid) == part.start:
            os.kill(part.pid, signal.SIGCONT)
