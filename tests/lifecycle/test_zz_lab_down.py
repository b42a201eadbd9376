"""lab.down leaves nothing behind and touches nothing else. Last of all files here: it takes the lab away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import image, lab, paths
from tasks.lib.lab import cgroups, layout, listeners, mounts, network, preflight, processes
from tasks.lib.target import Engine

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.slow]
FOREIGN_SOCKET = Path("/run/containerd/containerd.sock")
# kubectl is no daemon: other tests beside these ask with it.
DAEMONS = "kube(?!ctl)|etcd|containerd-shim|dockerd|docker-registry|git-daemon|coredns|argocd|redis-server"
DAEMON = re.compile(f"^({DAEMONS})")


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout


def world() -> dict[str, object]:
    """Everything that a lab may change on this machine, as far as it is still there."""
    rules = output("iptables-save") + output("ip6tables-save")
    addresses = output("ip", "-oneline", "address")
    return {
        "addresses": sorted(re.sub(r"^\d+: | valid_lft.*", "", line) for line in addresses.splitlines()),
        "routes": sorted(output("ip", "route").splitlines()),
        "rules": sorted(line for line in rules.splitlines() if re.match(r"-A |:\S+ - ", line)),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "settings": {
            key: Path("/proc/sys", key).read_text() for key in network.SETTINGS if Path("/proc/sys", key).exists()
        },
        "groups": [
            str(top / layout.home().cgroup) for top in cgroups.hierarchies() if (top / layout.home().cgroup).exists()
        ],
        "folders": {place: listing(place) for place in ("/run", "/var/lib", "/var/log", "/opt", *mounts.PRIVATE)},
        "ports": [
            port for places in preflight.PORTS.values() for address, port in places if listeners.taken(address, port)
        ],
        "daemons": daemons(),
    }


def listing(place: str) -> list[str]:
    return sorted(path.name for path in Path(place).iterdir()) if Path(place).is_dir() else []


def daemons() -> list[str]:
    """Programs of a lab in this network, or processes that stand in its home."""
    found = []
    here = Path("/proc/self/ns/net").readlink()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, place = (folder / "comm").read_text().strip(), str((folder / "cwd").readlink())
            near = (folder / "ns/net").readlink() == here
        except OSError:
            continue
        living = processes.start_time(int(folder.name)) is not None
        if living and ((near and DAEMON.match(name)) or place.startswith(str(layout.home().root))):
            found.append(name)
    return sorted(found)


@dataclass
class Foreign:
    """An engine of somebody else, and the machine with it and without a lab."""

    engine: subprocess.Popen[bytes]
    before: dict[str, object]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """A containerd on the usual socket, a rule, an address and a folder, all of somebody else; no lab is up."""
    context = Context()
    context.config.run.in_stream = False
    lab.down(context)
    made = not FOREIGN_SOCKET.parent.exists()
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "config.toml").write_text(f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n')
    line = ["containerd", "--config", str(folder / "config.toml"), "--address", str(FOREIGN_SOCKET)]
    engine = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    output("iptables", "-N", "SOMEBODY-ELSE")
    output("iptables", "-A", "INPUT", "-j", "SOMEBODY-ELSE")
    output("ip", "address", "add", "10.99.0.1/32", "dev", "lo")
    deadline = time.monotonic() + 20
    while not FOREIGN_SOCKET.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    yield Foreign(engine, world())
    engine.terminate()
    engine.wait(timeout=20)
    output("ip", "address", "del", "10.99.0.1/32", "dev", "lo")
    output("iptables", "-D", "INPUT", "-j", "SOMEBODY-ELSE")
    output("iptables", "-X", "SOMEBODY-ELSE")
    if made:
        for path in sorted(FOREIGN_SOCKET.parent.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        FOREIGN_SOCKET.parent.rmdir()


def test_up_after_a_killed_down_starts_from_nothing(
    c: Context, foreign: Foreign, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it brings up stays: taking that away is what the next test is about."""
    lab.up(c)
    line = [str(paths.ROOT / "inv"), "lab.down"]
    half = subprocess.Popen(line, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while layout.home().run.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(half.pid, signal.SIGKILL)  # while it deletes what the engines keep
    half.wait()
    assert layout.home().data.exists()
    up = lab.up(c)
    assert "cut short" in "".join(capsys.readouterr())
    with image.client(Engine(docker_host=up.docker_host)) as docker:
        assert docker.images.get(up.builder_image).id == up.builder_image_id


def test_down_leaves_nothing_and_a_foreign_engine_lives_on(c: Context, foreign: Foreign) -> None:
    lab.up(c)
    during = world()
    assert during["daemons"] != foreign.before["daemons"]
    output("ctr", "--address", str(FOREIGN_SOCKET), "version")
    assert lab.down(c) is True
    assert world() == foreign.before
    assert not layout.home().root.exists()
    assert foreign.engine.poll() is None
    output("ctr", "--address", str(FOREIGN_SOCKET), "version")
    assert lab.down(c) is False


def test_down_works_on_a_lab_that_came_up_half_way_and_forgot_everything(c: Context, foreign: Foreign) -> None:
    lab.down(c)
    line = [str(paths.ROOT / "inv"), "lab.up"]
    half = subprocess.Popen(line, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while processes.find(layout.home(), "kubelet") is None and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(half.pid, signal.SIGKILL)
    half.wait()
    assert processes.find(layout.home(), "kubelet")
    for file in (layout.home().state_file, *layout.home().run.glob("*.pid")):
        file.unlink()
    assert lab.down(c) is True
    after = world()
    noted = ("settings", "folders")  # what they were is noted in the state file only
    assert {key: value for key, value in after.items() if key not in noted} == {
        key: value for key, value in foreign.before.items() if key not in noted
    }
    assert foreign.engine.poll() is None
