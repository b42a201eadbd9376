"""lab.up: checks, makes what is missing, starts what does not run; the same way for new, half-made and broken labs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from invoke.context import Context

from tasks.lib import argocd_install, locks, terminal
from tasks.lib.errors import Stop
from tasks.lib.lab import (
    addons,
    cgroups,
    containers,
    controlplane,
    gitremote,
    health,
    images,
    layout,
    loading,
    mounts,
    network,
    node,
    pki,
    preflight,
    processes,
    programs,
    state,
    teardown,
)
from tasks.lib.lab.jobs import Job, run_all
from tasks.lib.lab.layout import Home
from tasks.lib.lab.processes import Part
from tasks.lib.lab.state import Lab
from tasks.lib.paths import ROOT

KUBERNETES = "v1.34.2"
HANGS = 15.0  # seconds without an answer after which a living part is started again


def up(c: Context, upgrade: bool = False) -> Lab:
    """Brings the lab up and returns it; nothing is done when it runs well. Raises Stop (4) with one sentence.

    upgrade: also start anew what another version of Slipway started differently; a deploy does not ask for that.
    """
    home = layout.home()
    if (lab := _running(c, home, upgrade)) is not None:
        return lab
    preflight.check(home, _missing(home))
    with locks.exclusive(layout.lock_file(), "lab.up or lab.down"):
        if (lab := _running(c, home, upgrade)) is not None:
            return lab  # another process brought it up meanwhile
        teardown.finish(c, home)
        preflight.check(home, _missing(home))
        found = programs.find(c)
        archives = images.prepare(c, found)
        with terminal.step("Start the lab") as note:
            _bring_up(c, home, found, archives, note)
    return state.describe(home)


def _running(c: Context, home: Home, upgrade: bool) -> Lab | None:
    """The lab if it runs and answers and, for an upgrade, is what this version of Slipway would start."""
    lab = state.find()
    outdated = upgrade and state.read(home).get("recipe") != recipe()
    return None if lab is None or outdated or not health.answers(c, home) else lab


def recipe() -> str:
    """A digest of this package and of the pinned programs: another recipe means that up has something to do."""
    found = hashlib.sha256()
    files = [*sorted(Path(__file__).parent.glob("*")), ROOT / "tasks/lib/argocd_install.py", ROOT / "tools/pins.yaml"]
    for file in files:
        if file.is_file():
            found.update(file.read_bytes())
    return found.hexdigest()[:16]


def _missing(home: Home) -> list[str]:
    return [name for name in preflight.PORTS if processes.find(home, name) is None]


def _bring_up(
    c: Context,
    home: Home,
    found: Mapping[str, Path],
    archives: Mapping[str, images.Archive],
    note: Callable[[str], None],
) -> None:
    for folder in home.folders():
        folder.mkdir(parents=True, exist_ok=True)
    home.root.chmod(0o711)
    state.remember(home, ready=False)
    holder = processes.find(home, processes.NAMESPACE)
    if holder is None or holder.digest != mounts.part(home).digest:
        cgroups.kill(home.cgroup)  # what is left of an earlier lab lives in a mount namespace that nobody can enter
    groups = cgroups.create(home.cgroup)
    mounts.prepare(home)
    network.prepare(c, home)
    pki.configure(c, home, found, KUBERNETES)
    containers.configure(home)
    node.configure(home)
    gitremote.configure(c, home)
    parts = all_parts(c, home, found)
    ids = {name: value for archive in archives.values() for name, value in archive.ids.items()}
    state.remember(home, parts=[part.name for part in parts], images=ids, kubectl=str(found["kubectl"]))
    starts = [Job(part.name, _starter(home, part, groups), part.needs) for part in parts]
    run_all([*starts, *_fillers(c, home, found, archives)], note)
    health.settle(c, home, found["ctr"])
    state.remember(home, ready=True, recipe=recipe())


def all_parts(c: Context, home: Home, found: Mapping[str, Path]) -> list[Part]:
    """Every daemon of the lab, in no particular order."""
    return [
        mounts.part(home),
        *containers.parts(home, found),
        gitremote.part(c, home),
        *controlplane.parts(home, found),
        *node.parts(home, found),
    ]


def _starter(home: Home, part: Part, groups: list[Path]) -> Callable[[], None]:
    def work() -> None:
        running = processes.find(home, part.name)
        if running is not None and running.digest == part.digest:
            with contextlib.suppress(Stop):
                processes.wait(home, part, HANGS)
                return
        processes.stop(home, part.name)  # another version, or one that lives and does not answer
        processes.start(home, part, groups)
        processes.wait(home, part)

    return work


def _fillers(c: Context, home: Home, found: Mapping[str, Path], archives: Mapping[str, images.Archive]) -> list[Job]:
    """What fills the running daemons: images, then what runs in the cluster.

    Pods are made after their images are there: the kubelet would ask a registry for them, and back off.
    """
    names = addons.image_names({**archives["system"].ids, **archives["argocd"].ids})
    kubectl = found["kubectl"]

    def load(name: str) -> Callable[[], None]:
        return lambda: loading.into_cluster(c, home, found["ctr"], archives[name])

    def cluster_addons() -> None:
        addons.install(c, home, kubectl, names)
        addons.wait(c, home, kubectl)

    return [
        Job("system images", load("system"), ("containerd",)),
        Job("argocd images", load("argocd"), ("containerd",)),
        Job("builder images", lambda: loading.into_docker(home, archives["engine"]), ("docker", "argocd images")),
        Job("add-ons", cluster_addons, ("controller-manager", "system images")),
        Job(
            "argocd",
            lambda: argocd_install.install(c, home.kubeconfig, layout.CONTEXT, names),
            ("controller-manager", "system images", "argocd images"),
        ),
    ]
