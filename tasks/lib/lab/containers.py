"""containerd, the Docker engine beside it and the registry, all on sockets and addresses of the lab's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tasks.lib.lab import probes
from tasks.lib.lab.files import put
from tasks.lib.lab.layout import (
    LOOPBACK,
    POD_GATEWAY,
    POD_SUBNET,
    REGISTRY,
    REGISTRY_PORT,
    STREAM_PORT,
    SYSTEM_PREFIX,
    Home,
)
from tasks.lib.lab.processes import NAMESPACE, Part

PAUSE_IMAGE = f"{SYSTEM_PREFIX}/pause:1"
PLUGINS = "/usr/lib/cni"  # where Debian's containernetworking-plugins puts them


def configure(home: Home) -> None:
    """Writes the configuration of containerd, of the pods' network and of the registry."""
    put(home.etc / "containerd.toml", _containerd(home))
    put(home.etc / "docker.json", json.dumps(_docker(home), indent=1))
    put(home.etc / "registry.json", json.dumps(_registry(home), indent=1))  # JSON is YAML
    put(home.etc / "cni" / "10-slipway.conflist", json.dumps(_network(home), indent=1))


def _containerd(home: Home) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE every pod would die of a score that may not be set.
    return f"""version = 2
root = "{home.data}/containerd"
state = "{home.run}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{home.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{home.data}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "{LOOPBACK}"
  stream_server_port = "{STREAM_PORT}"
  enable_tls_streaming = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{home.etc}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "{home.run}/runc"
"""


def _docker(home: Home) -> dict[str, object]:
    """The engine builds with the host's network, so it needs no bridge and sets no packet rules (nor a DROP policy)."""
    return {
        "hosts": [f"unix://{home.docker_socket}"],
        "containerd": str(home.containerd_socket),
        "data-root": f"{home.data}/docker",
        "exec-root": f"{home.run}/docker",
        "cgroup-parent": f"/{home.cgroup}/docker",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "storage-driver": "overlay2",
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        "features": {"buildkit": True},
        "builder": {"gc": {"enabled": True, "defaultKeepStorage": "5GB"}},
    }


def _registry(home: Home) -> dict[str, object]:
    storage = {"filesystem": {"rootdirectory": f"{home.data}/registry"}, "delete": {"enabled": True}}
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {**storage, "cache": {"blobdescriptor": "inmemory"}},
        "http": {"addr": REGISTRY, "headers": {"X-Content-Type-Options": ["nosniff"]}},
    }


def _network(home: Home) -> dict[str, object]:
    """A device pair per pod and a route, no bridge: nothing of it outlives the pods. No way out, so no masquerading."""
    pool = {"type": "host-local", "dataDir": f"{home.data}/cni", "routes": [{"dst": "0.0.0.0/0"}]}
    ranges = [[{"subnet": POD_SUBNET, "gateway": POD_GATEWAY}]]
    plugin = {"type": "ptp", "ipMasq": False, "ipam": {**pool, "ranges": ranges}}
    return {"cniVersion": "0.4.0", "name": "slipway-lab", "plugins": [plugin]}


def parts(home: Home, programs: Mapping[str, Path]) -> list[Part]:
    """The three daemons."""
    lean = {"GOGC": "50"}
    toml, docker, registry = (home.etc / name for name in ("containerd.toml", "docker.json", "registry.json"))
    return [
        Part(
            "containerd",
            (str(programs["containerd"]), "--config", str(toml)),
            _serves_pods(home),
            (NAMESPACE,),
            files=(toml,),
            mounts=True,
            env=lean,
        ),
        Part(
            "docker",
            # No pid file of its own: a stale one whose number another process has now would keep it from starting.
            (str(programs["dockerd"]), "--config-file", str(docker), "--pidfile="),
            probes.unix(home.docker_socket),
            ("containerd",),
            files=(docker,),
            mounts=True,
            env=lean,
        ),
        Part(
            "registry",
            (str(programs["docker-registry"]), "serve", str(registry)),
            probes.http(f"http://{LOOPBACK}:{REGISTRY_PORT}/v2/"),
            files=(registry,),
            env=lean,
        ),
    ]


def _serves_pods(home: Home) -> Callable[[], bool]:
    """Its socket accepts connections early; the kubelet dies of an answer before the streams are served, too."""
    asks = (probes.unix(home.containerd_socket), probes.tcp(LOOPBACK, STREAM_PORT))
    return lambda: all(ask() for ask in asks)
