"""Argo CD from its upstream manifests: images replaced only where they are given, and no install done twice."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from invoke.context import MockContext
from invoke.runners import Result

from tasks.lib import argocd_install, tools

OURS = {"argocd": "slipway.lab/argocd:1", "redis": "slipway.lab/redis:2"}


def changes(overlay: dict[str, object]) -> list[str]:
    patches: Sequence[dict[str, str]] = overlay["patches"]  # type: ignore[assignment]
    return [patch["patch"] for patch in patches]


def test_a_foreign_cluster_pulls_the_upstream_images() -> None:
    overlay = argocd_install.kustomization({})
    assert overlay["images"] == []
    assert not [text for text in changes(overlay) if "imagePullPolicy" in text]


def test_given_images_replace_the_upstream_ones_and_are_not_pulled() -> None:
    overlay = argocd_install.kustomization(OURS)
    assert overlay["images"] == [
        {"name": "quay.io/argoproj/argocd", "newName": "slipway.lab/argocd", "newTag": "1"},
        {"name": "public.ecr.aws/docker/library/redis", "newName": "slipway.lab/redis", "newTag": "2"},
    ]
    assert len([text for text in changes(overlay) if "imagePullPolicy" in text]) == 2


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "core-install.yaml").write_text("kind: List\n")
    monkeypatch.setattr(tools, "path", lambda _c, name: Path(f"/bin/{name}"))
    monkeypatch.setattr(tools, "source_dir", lambda _c, _module: tmp_path)
    return tmp_path


class Cluster:
    """Answers kubectl's lines and keeps those that change something."""

    def __init__(self, mark: str, workloads: Sequence[str], key: str = "c2VjcmV0") -> None:
        names = "\n".join(f"deployment.apps/{name}" for name in workloads)
        self.context = MockContext(
            run={
                re.compile(r".* get namespace .*"): Result(mark),
                re.compile(r".* get deployments,statefulsets .*"): Result(names),
                re.compile(r".* get .*argocd-secret.*"): Result(key),
                re.compile(r".* (apply|patch) .*"): Result(),
                re.compile(r".* (wait|rollout) .*"): Result(),
            },
            repeat=True,
        )

    def lines(self, pattern: str) -> list[str]:
        return [call.args[0] for call in self.context.run.call_args_list if re.search(pattern, call.args[0])]


def installed_version(cluster: Cluster) -> str:
    """The mark that an install leaves on the namespace last."""
    texts = [
        call.kwargs["in_stream"] for call in cluster.context.run.call_args_list if "--field-manager" in call.args[0]
    ]
    return str(json.loads(texts[-1].getvalue())["metadata"]["annotations"][argocd_install.MARK])


def test_the_mark_is_taken_off_first_and_set_last(upstream: Path) -> None:
    cluster = Cluster("", [])
    argocd_install.install(cluster.context, Path("/kubeconfig"), "ctx", OURS)
    order = [line.split("ctx ", 1)[1] for line in cluster.lines(" apply ")]
    assert ["--field-manager" in line for line in order] == [True, False, True]
    assert installed_version(cluster)
    assert not cluster.lines(" patch ")  # the key is there already


def test_a_missing_secret_key_is_made_and_never_on_a_command_line(upstream: Path) -> None:
    cluster = Cluster("", [], key="")
    argocd_install.install(cluster.context, Path("/kubeconfig"), "ctx")
    (line,) = cluster.lines(" patch ")
    assert "--patch-file" in line
    assert "secretkey" not in line


def test_what_is_installed_is_only_waited_for(upstream: Path) -> None:
    first = Cluster("", [])
    argocd_install.install(first.context, Path("/kubeconfig"), "ctx", OURS)
    again = Cluster(installed_version(first), argocd_install.WORKLOADS)
    argocd_install.install(again.context, Path("/kubeconfig"), "ctx", OURS)
    assert not again.lines(" apply ")
    assert len(again.lines(" (wait|rollout) ")) == 2


def test_a_deleted_part_is_installed_again(upstream: Path) -> None:
    first = Cluster("", [])
    argocd_install.install(first.context, Path("/kubeconfig"), "ctx", OURS)
    again = Cluster(installed_version(first), argocd_install.WORKLOADS[1:])
    argocd_install.install(again.context, Path("/kubeconfig"), "ctx", OURS)
    assert again.lines(" apply .*-k ")
