"""The lab's address, its few packet rules and kernel settings, and how all of it is taken back."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

from invoke.context import Context

from tasks.lib.lab import cgroups, state
from tasks.lib.lab.layout import ADDRESS, CGROUPS, POD_GATEWAY, POD_SUBNET, SERVICE_SUBNET, Home
from tasks.lib.runner import run

INPUT = "SLIPWAY-LAB-INPUT"
FORWARD = "SLIPWAY-LAB-FORWARD"
OUTPUT = "SLIPWAY-LAB-OUTPUT"
OURS = re.compile(r"^(KUBE-|SLIPWAY-LAB-)")  # kubelet's and kube-proxy's chains, and the three above
STEP = "lab network"
# Each pod has a route of its own. Without this one, what is sent to a pod that is gone would leave the machine.
NO_POD = ["unreachable", POD_SUBNET]
# The kubelet and kube-proxy set these for good; they are noted before and put back by lab.down.
SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
SYSCTL = Path("/proc/sys")


def prepare(c: Context, home: Home) -> None:
    """Address, forwarding and packet rules; running it again changes nothing."""
    if "settings" not in state.read(home):
        state.remember(home, settings=_settings())
    (SYSCTL / "net/ipv4/ip_forward").write_text("1")
    run(c, ["ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo"], step=STEP, timeout=10, quiet=True)
    run(c, ["ip", "route", "replace", *NO_POD], step=STEP, timeout=10, quiet=True)
    saved = run(c, ["iptables-save"], step=STEP, timeout=20, quiet=True).stdout
    run(c, ["iptables-restore", "--noflush"], step=STEP, timeout=20, quiet=True, stdin=rules(saved))


def _settings() -> dict[str, str]:
    found = {}
    for key in SETTINGS:
        with contextlib.suppress(OSError):
            found[key] = (SYSCTL / key).read_text().strip()
    return found


def rules(saved: str) -> str:
    """Pods reach pods and the lab's address, nothing else; nothing else reaches them or the lab's address.

    saved: the rules that are there. Input for `iptables-restore --noflush`, which empties the chains named here first.

    Linux answers for any of its addresses on any device, so without the first rule a neighbour in the same network
    could route to the lab's address. What is sent to a service that does not exist is refused: it has no route of its
    own, so it would leave the machine.
    """
    jumps = (f"INPUT -j {INPUT}", f"FORWARD -j {FORWARD}", f"OUTPUT -j {OUTPUT}")
    lines = [
        "*filter",
        f":{INPUT} - [0:0]",
        f":{FORWARD} - [0:0]",
        f":{OUTPUT} - [0:0]",
        f"-A {INPUT} -d {ADDRESS}/32 ! -i lo ! -s {POD_SUBNET} -j DROP",
        f"-A {INPUT} -s {POD_SUBNET} ! -d {ADDRESS}/32 -m conntrack --ctstate NEW -j REJECT",
        f"-A {FORWARD} -s {POD_SUBNET} -d {POD_SUBNET} -j ACCEPT",
        f"-A {FORWARD} -s {POD_SUBNET} -j REJECT",
        f"-A {FORWARD} -d {POD_SUBNET} -j DROP",
        f"-A {OUTPUT} -d {SERVICE_SUBNET} -j REJECT",
        *(f"-I {jump.split(maxsplit=1)[0]} 1 -j {jump.split()[2]}" for jump in jumps if f"-A {jump}" not in saved),
        "COMMIT",
    ]
    return "\n".join([*lines, ""])


def restore_input(saved: str) -> str:
    """From the output of `iptables-save`: the input for `iptables-restore --noflush` that removes the lab's chains."""
    blocks: list[str] = []
    rules: list[str] = []
    chains: list[str] = []
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table, rules, chains = line, [], []
        elif line.startswith(":") and OURS.match(line[1:].split()[0]):
            chains.append(line[1:].split()[0])
        elif line.startswith("-A ") and not OURS.match(line.split()[1]) and _is_ours(line):
            rules.append("-D " + line[3:])
        elif line == "COMMIT" and (rules or chains):
            flush = [f"-F {name}" for name in chains]
            remove = [f"-X {name}" for name in chains]
            blocks += [table, *rules, *flush, *remove, "COMMIT"]
    return "\n".join([*blocks, ""]) if blocks else ""


def _is_ours(rule: str) -> bool:
    """A rule in a foreign chain that jumps to a chain of the lab."""
    target = re.search(r" -[jg] (\S+)", rule)
    return bool(target and OURS.match(target[1]))


def used_by_others(home: Home) -> list[str]:
    """Control groups of other homes' labs in which something lives: address and rules are one for the machine."""
    names = {folder.name for top in cgroups.hierarchies() for folder in top.glob(f"{CGROUPS}*") if folder.is_dir()}
    return [name for name in sorted(names - {home.cgroup}) if cgroups.processes(name)]


def clean(c: Context, home: Home) -> None:
    """Takes back rules, address and kernel settings, as far as they are there."""
    for family in ("iptables", "ip6tables"):
        if not shutil.which(f"{family}-save"):
            continue
        saved = run(c, [f"{family}-save"], step=STEP, timeout=20, quiet=True, ok=range(256)).stdout
        text = restore_input(saved)
        if text:
            run(c, [f"{family}-restore", "--noflush"], step=STEP, timeout=20, quiet=True, stdin=text)
    run(c, ["ip", "address", "del", f"{ADDRESS}/32", "dev", "lo"], step=STEP, timeout=10, quiet=True, ok=(0, 2))
    run(c, ["ip", "route", "del", *NO_POD], step=STEP, timeout=10, quiet=True, ok=(0, 2))
    _await_devices(c)
    for key, value in state.read(home).get("settings", {}).items():
        with contextlib.suppress(OSError):
            (SYSCTL / key).write_text(value)


def _await_devices(c: Context) -> None:
    """The kernel removes a pod's device a moment after its last process; what is left after that is removed by hand."""
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    try:
        Retrying(retry=retry_if_result(bool), stop=stop_after_delay(5), wait=wait_fixed(0.1))(lambda: devices(c))
    except RetryError:
        for name in devices(c):
            run(c, ["ip", "link", "del", name], step=STEP, timeout=10, quiet=True, ok=(0, 1))


def devices(c: Context) -> list[str]:
    """Devices of pods: those that carry the pods' gateway address."""
    listing = run(c, ["ip", "-oneline", "-4", "address"], step=STEP, timeout=10, quiet=True).stdout
    return [line.split()[1] for line in listing.splitlines() if f" {POD_GATEWAY}/" in line]
