"""Names, addresses and folders of the lab; every other module takes them from here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tasks.lib import paths

ADDRESS = "10.10.0.1"  # on lo: reachable from pods and from this machine, never from outside
LOOPBACK = "127.0.0.1"
POD_SUBNET = "10.244.0.0/24"
POD_GATEWAY = "10.244.0.1"
SERVICE_SUBNET = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"
NODE = "slipway-lab"
CONTEXT = "slipway-lab"
REPOSITORY = "slipway.git"

API_PORT = 6443
GIT_PORT = 9418
REGISTRY_PORT = 5000
STREAM_PORT = 10010  # where the kubelet fetches the streams of exec and port-forward from containerd
REGISTRY = f"{LOOPBACK}:{REGISTRY_PORT}"
GIT_URL = f"git://{ADDRESS}/{REPOSITORY}"
API_URL = f"https://{ADDRESS}:{API_PORT}"

BASE_IMAGE = "slipway-base:bookworm"
BUILDER_IMAGE = "slipway-builder:bookworm"
CGROUPS = "slipway-lab-"  # how the control groups of all homes begin
SYSTEM_PREFIX = "slipway.lab"  # registry name of images that exist only in the lab's containerd


@dataclass(frozen=True)
class Home:
    """The lab's folder and what lies where in it."""

    root: Path

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def signing(self) -> Path:
        """The key pair that signs releases for this lab; made by the first signing."""
        return self.root / "signing"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def private(self) -> Path:
        """What appears under system paths such as /run/containerd, inside the lab's mount namespace only."""
        return self.root / "private"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def repository(self) -> Path:
        return self.root / "git" / REPOSITORY

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def docker_socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    @property
    def cgroup(self) -> str:
        """Name of the control group that holds every process of this lab; one per home."""
        return CGROUPS + hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    def folders(self) -> list[Path]:
        own = [self.etc, self.pki, self.signing, self.run, self.logs, self.data, self.private]
        return [*own, self.repository.parent]


def home() -> Home:
    """The home that SLIPWAY_LAB_HOME names, or the default."""
    return Home(paths.lab_home())


def lock_file() -> Path:
    """Held while the lab is brought up or taken down; outside the home, which lab.down deletes."""
    return paths.cache() / "locks" / f"{home().cgroup}.lock"
