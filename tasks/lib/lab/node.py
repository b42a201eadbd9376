"""The node: kubelet and kube-proxy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tasks.lib.lab import probes
from tasks.lib.lab.files import put
from tasks.lib.lab.layout import ADDRESS, DNS_ADDRESS, LOOPBACK, NODE, POD_SUBNET, Home
from tasks.lib.lab.processes import Part


def configure(home: Home) -> None:
    """Writes both configurations (JSON is YAML) and the name servers that pods of the host's DNS policy get."""
    put(home.etc / "kubelet.yaml", json.dumps(_kubelet(home), indent=1))
    put(home.etc / "kube-proxy.yaml", json.dumps(_proxy(home), indent=1))
    put(home.etc / "resolv.conf", f"nameserver {DNS_ADDRESS}\n")


def _kubelet(home: Home) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "healthzBindAddress": LOOPBACK,
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{home.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{home.containerd_socket}",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{home.etc}/resolv.conf",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{home.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "podLogsDir": f"{home.logs}/pods",
        "volumePluginDir": f"{home.data}/volume-plugins",
        "serializeImagePulls": False,
        # How soon a changed Secret is in its pod: Prometheus reads its targets from one. The default is a minute.
        "syncFrequency": "10s",
        # A disk that is full for other reasons is no reason to evict pods or to delete images that cannot be pulled.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "maxPods": 60,
    }


def _proxy(home: Home) -> dict[str, object]:
    """Zeros leave the kernel's connection tracking as it is; node ports listen on loopback only."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "bindAddress": ADDRESS,
        "healthzBindAddress": f"{LOOPBACK}:10256",
        "metricsBindAddress": f"{LOOPBACK}:10249",
        "nodePortAddresses": [f"{LOOPBACK}/32"],
        "hostnameOverride": NODE,
        "clusterCIDR": POD_SUBNET,
        "clientConnection": {"kubeconfig": f"{home.etc}/kube-proxy.conf"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "0.1s", "syncPeriod": "30s", "localhostNodePorts": True},
    }


def parts(home: Home, programs: Mapping[str, Path]) -> list[Part]:
    """The two daemons of the node."""
    lean = {"GOGC": "50"}
    kubelet, proxy = home.etc / "kubelet.yaml", home.etc / "kube-proxy.yaml"
    flags = (
        f"--config={kubelet}",
        f"--kubeconfig={home.etc}/kubelet.conf",
        f"--root-dir={home.data}/kubelet",
        f"--cert-dir={home.pki}/kubelet",
        f"--node-ip={ADDRESS}",
        f"--hostname-override={NODE}",
    )
    return [
        Part(
            "kubelet",
            (str(programs["kubelet"]), *flags),
            probes.http(f"http://{LOOPBACK}:10248/healthz"),
            ("apiserver", "containerd"),
            files=(kubelet,),
            mounts=True,
            env=lean,
        ),
        Part(
            "kube-proxy",
            (str(programs["kube-proxy"]), f"--config={proxy}"),
            probes.http(f"http://{LOOPBACK}:10256/healthz"),
            ("apiserver",),
            files=(proxy,),
            env=lean,
        ),
    ]
