"""etcd, the API server, the controller manager and the scheduler as plain processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tasks.lib.lab import probes
from tasks.lib.lab.layout import ADDRESS, API_PORT, API_URL, LOOPBACK, SERVICE_SUBNET, Home
from tasks.lib.lab.processes import Part

# The collector runs earlier than by default: memory counts more than processor time on a laptop.
LEAN = {"GOGC": "50"}


def parts(home: Home, programs: Mapping[str, Path]) -> list[Part]:
    """The four daemons of the control plane."""
    api = ("apiserver",)
    ready = probes.http(f"{API_URL}/readyz", home.pki / "ca.crt")
    controllers = probes.tcp(LOOPBACK, 10257)
    return [
        Part("etcd", _etcd(home, programs["etcd"]), probes.tcp(LOOPBACK, 2379), env=LEAN),
        Part("apiserver", _apiserver(home, programs["kube-apiserver"]), ready, ("etcd",), env=LEAN, deadline=90),
        Part("controller-manager", _controllers(home, programs["kube-controller-manager"]), controllers, api, env=LEAN),
        Part("scheduler", _scheduler(home, programs["kube-scheduler"]), probes.tcp(LOOPBACK, 10259), api, env=LEAN),
    ]


def _etcd(home: Home, program: Path) -> tuple[str, ...]:
    """--unsafe-no-fsync: the lab is thrown away, so a power cut may cost it its data."""
    pki = home.pki / "etcd"
    return (
        str(program),
        "--name=lab",
        f"--data-dir={home.data}/etcd",
        f"--listen-client-urls=https://{LOOPBACK}:2379",
        f"--advertise-client-urls=https://{LOOPBACK}:2379",
        f"--listen-peer-urls=https://{LOOPBACK}:2380",
        f"--initial-advertise-peer-urls=https://{LOOPBACK}:2380",
        f"--initial-cluster=lab=https://{LOOPBACK}:2380",
        "--client-cert-auth",
        f"--trusted-ca-file={pki}/ca.crt",
        f"--cert-file={pki}/server.crt",
        f"--key-file={pki}/server.key",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={pki}/ca.crt",
        f"--peer-cert-file={pki}/peer.crt",
        f"--peer-key-file={pki}/peer.key",
        "--unsafe-no-fsync",
        "--snapshot-count=2000",
        "--log-level=warn",
    )


def _apiserver(home: Home, program: Path) -> tuple[str, ...]:
    """--kubelet-preferred-address-types: the node's name is in no DNS, so logs and exec go by its address."""
    pki = home.pki
    return (
        str(program),
        f"--advertise-address={ADDRESS}",
        f"--bind-address={ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--etcd-servers=https://{LOOPBACK}:2379",
        f"--etcd-cafile={pki}/etcd/ca.crt",
        f"--etcd-certfile={pki}/apiserver-etcd-client.crt",
        f"--etcd-keyfile={pki}/apiserver-etcd-client.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        f"--service-cluster-ip-range={SERVICE_SUBNET}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        "--profiling=false",
    )


def _controllers(home: Home, program: Path) -> tuple[str, ...]:
    config = home.etc / "controller-manager.conf"
    return (
        str(program),
        f"--bind-address={LOOPBACK}",
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={home.pki}/sa.key",
        f"--root-ca-file={home.pki}/ca.crt",
        f"--client-ca-file={home.pki}/ca.crt",
        f"--cluster-signing-cert-file={home.pki}/ca.crt",
        f"--cluster-signing-key-file={home.pki}/ca.key",
        f"--requestheader-client-ca-file={home.pki}/front-proxy-ca.crt",
        "--leader-elect=false",
        "--profiling=false",
    )


def _scheduler(home: Home, program: Path) -> tuple[str, ...]:
    config = home.etc / "scheduler.conf"
    return (
        str(program),
        f"--bind-address={LOOPBACK}",
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        "--profiling=false",
    )
