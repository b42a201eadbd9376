"""What people change in the cluster by hand is put back."""

from __future__ import annotations

import os
import subprocess

import pytest

from tasks.lib import tools
from tests.lifecycle.world import World

pytestmark = pytest.mark.lab


def test_what_was_changed_by_hand_is_put_back(world: World) -> None:
    """kubectl edit, kubectl delete and kubectl scale, one after the other and then waited for together."""
    a = world.given("a")
    scratch = world.scratch
    place = ("--namespace", world.namespace)
    edit = [str(tools.path(scratch.c, "kubectl")), f"--kubeconfig={scratch.lab.kubeconfig}", "edit", *place]
    editor = {**os.environ, "KUBE_EDITOR": "sed -i 's/progressDeadlineSeconds: 120/progressDeadlineSeconds: 900/'"}
    subprocess.run([*edit, "deployment/slipway-service"], env=editor, check=True, capture_output=True, timeout=60)
    uid = world.get("service", "slipway-service")["metadata"]["uid"]
    scratch.kubectl("delete", *place, "service", "slipway-service", "--wait=false")
    scratch.kubectl("scale", *place, "deployment/slipway-service", "--replicas=1")

    def whole() -> bool:
        service = world.get("service", "slipway-service")
        deployment = world.deployment()
        return (
            deployment["spec"]["progressDeadlineSeconds"] == 120
            and service.get("metadata", {}).get("uid", uid) != uid
            and deployment["spec"]["replicas"] >= 2
            and world.trouble(a) == ""
        )

    world.comes("put back", whole, 60)
