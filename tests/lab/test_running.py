"""A lab that runs: nothing to do the second time, nothing listens outside, nobody gets in or out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.lab import Lab, cgroups, layout, processes, state
from tasks.lib.lab.layout import ADDRESS
from tests.lab.conftest import inv

pytestmark = pytest.mark.lab
OUTSIDE = "198.51.100"  # a network of the test's own, in a namespace of its own


def test_a_second_up_changes_nothing_and_takes_less_than_two_seconds(running: Lab) -> None:
    home = layout.home()
    before = {name: processes.find(home, name) for name in state.read(home)["parts"]}
    seconds = []
    for _ in range(3):  # the best of three: other tests may have the processors
        began = time.monotonic()
        done = inv("lab.up")
        seconds.append(time.monotonic() - began)
        assert done.returncode == 0, done.stderr
    assert {name: processes.find(home, name) for name in before} == before
    assert None not in before.values()
    assert min(seconds) < 2.0
    assert f"export KUBECONFIG={running.kubeconfig}" in done.stdout
    assert f"export SLIPWAY_GIT_URL={running.git_url}" in done.stdout
    assert f"export SLIPWAY_REGISTRY={running.registry}" in done.stdout


def test_status_names_every_part_with_its_start_and_log(running: Lab) -> None:
    told = json.loads(inv("lab.status", "--json").stdout)
    assert told["up"] is True
    parts = {row["part"]: row for row in told["parts"]}
    assert {"etcd", "apiserver", "kubelet", "kube-proxy", "containerd", "docker", "registry", "git"} <= parts.keys()
    for row in parts.values():
        assert row["state"] == "running"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["since"])
        assert Path(row["log"]).exists()


@pytest.mark.parametrize("sockets", ["-ltnpH", "-lunpH"])
def test_nothing_of_the_lab_listens_on_an_outside_address(running: Lab, sockets: str) -> None:
    own = cgroups.processes(layout.home().cgroup)
    table = subprocess.run(["ss", sockets], capture_output=True, text=True, check=True, timeout=20).stdout
    found = {}
    for line in table.splitlines():
        pids = {int(pid) for pid in re.findall(r"pid=(\d+)", line)}
        if pids & own:
            found[line.split()[3]] = line
    assert not [line for place, line in found.items() if not place.startswith(("127.0.0.1:", f"{ADDRESS}:"))]
    assert len(found) > 10 or sockets == "-lunpH"


def test_a_pod_cannot_push(running: Lab, kubectl: Sequence[str]) -> None:
    script = "cd /tmp && rm -rf evil && git init -q evil && cd evil && git -c user.name=x -c user.email=x@x commit -q"
    script += f" --allow-empty -m x; git push {running.git_url} HEAD:refs/heads/evil; rm -rf /tmp/evil"
    shell = ["exec", "--namespace=argocd", "deployment/argocd-repo-server", "--", "sh", "-c", script]
    tried = subprocess.run([*kubectl, *shell], capture_output=True, text=True, timeout=60, check=False)
    assert "pushes are taken from the lab's machine only" in tried.stderr
    refs = subprocess.run(["git", "ls-remote", running.git_url], capture_output=True, text=True, timeout=20, check=True)
    assert "evil" not in refs.stdout


@pytest.fixture
def outside(running: Lab) -> Iterator[Sequence[str]]:
    """A machine that could be a neighbour: a network namespace with a route to everything here."""
    name = f"slipway{os.getpid()}"
    ip = ["ip", "-n", name]
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=10)
    try:
        for line in (
            ["ip", "link", "add", "slipway-test", "type", "veth", "peer", "name", "out", "netns", name],
            ["ip", "address", "add", f"{OUTSIDE}.1/30", "dev", "slipway-test"],
            ["ip", "link", "set", "slipway-test", "up"],
            [*ip, "address", "add", f"{OUTSIDE}.2/30", "dev", "out"],
            [*ip, "link", "set", "out", "up"],
            [*ip, "route", "add", "default", "via", f"{OUTSIDE}.1"],
        ):
            subprocess.run(line, check=True, timeout=10)
        yield ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "link", "del", "slipway-test"], check=False, timeout=10)
        subprocess.run(["ip", "netns", "del", name], check=True, timeout=10)


def connects(prefix: Sequence[str], host: str, port: int) -> bool:
    """Whether a TCP connection from there succeeds within two seconds."""
    script = f"exec 3<>/dev/tcp/{host}/{port}"
    line = [*prefix, "timeout", "2", "bash", "-c", script]
    return subprocess.run(line, capture_output=True, timeout=30, check=False).returncode == 0


def test_a_neighbour_reaches_neither_the_api_nor_a_pod(outside: Sequence[str], kubectl: Sequence[str]) -> None:
    query = ["get", "pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns"]
    found = [*kubectl, *query, "--output=jsonpath={.items[0].status.podIP}"]
    pod = subprocess.run(found, capture_output=True, text=True, check=True, timeout=30).stdout
    assert connects([], ADDRESS, layout.API_PORT)
    assert connects([], pod, 8181)
    with_server = subprocess.Popen(["python3", "-m", "http.server", "8099", "--bind", f"{OUTSIDE}.1"], stderr=-3)
    try:
        deadline = time.monotonic() + 30  # a busy machine takes a while to start Python
        while not connects(outside, f"{OUTSIDE}.1", 8099):  # the neighbour's way here works ...
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert not connects(outside, ADDRESS, layout.API_PORT)  # ... but not to the lab
        assert not connects(outside, pod, 8181)
        inside = [*kubectl, "exec", "--namespace=argocd", "deployment/argocd-repo-server", "--"]
        assert connects(inside, "10.96.0.1", 443)
        assert not connects(inside, f"{OUTSIDE}.1", 8099)  # nor does a pod reach this machine's other addresses
        assert not connects(inside, f"{OUTSIDE}.2", 8099)
    finally:
        with_server.kill()
        with_server.wait()


@pytest.mark.parametrize("address", ["10.244.0.254", "10.96.255.254"])
def test_nothing_for_a_pod_or_service_that_is_gone_leaves_the_machine(running: Lab, address: str) -> None:
    began = time.monotonic()
    assert not connects([], address, 443)
    assert time.monotonic() - began < 1.5  # refused here, not waited for


def test_another_user_is_told_to_be_root(c: Context, running: Lab) -> None:
    from tasks.lib.lab import bringup  # before: Python itself may lie where only root can read

    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setgid(65534)
            os.setuid(65534)
            bringup.up(c)
        except Stop as stop:
            code = int(stop.code) if "needs root" in stop.sentence else 98
        finally:
            os._exit(code)
    _, ended = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended) == Code.COULD_NOT_RUN
