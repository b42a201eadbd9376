"""Renders the chart with the real Helm."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CHART = Path(__file__).resolve().parents[2] / "k8s" / "helm"
RELEASE_VALUES = CHART / "ci" / "release-values.yaml"
Manifest = dict[str, Any]


class Refused(Exception):
    """Helm did not render; the message is Helm's."""


class Chart:
    """The chart as one release, `slipway-test` in namespace `slipway-test`."""

    def __init__(self, helm: Path) -> None:
        self.helm = helm

    def text(self, values: Manifest | None = None, *, apis: Sequence[str] = (), release_values: bool = True) -> str:
        """The rendered YAML. values: on top of a complete release. Raises Refused."""
        line = [str(self.helm), "template", "slipway-test", str(CHART), "--namespace", "slipway-test"]
        if release_values:
            line += ["--values", str(RELEASE_VALUES)]
        for api in apis:
            line += ["--api-versions", api]
        line += ["--values", "-"]
        done = subprocess.run(line, input=json.dumps(values or {}), capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout

    def render(self, values: Manifest | None = None, **options: Any) -> dict[str, Manifest]:
        """The manifests by kind; the test pod as "Test"."""
        found: dict[str, Manifest] = {}
        for manifest in YAML(typ="safe").load_all(io.StringIO(self.text(values, **options))):
            if manifest:
                hook = "helm.sh/hook" in manifest["metadata"].get("annotations", {})
                kind = "Test" if hook else manifest["kind"]
                assert kind not in found
                found[kind] = manifest
        return found

    def container(self, values: Manifest | None = None) -> Manifest:
        """The service's container."""
        (container,) = self.render(values)["Deployment"]["spec"]["template"]["spec"]["containers"]
        return dict(container)

    def env(self, values: Manifest | None = None) -> dict[str, str]:
        """The environment variables of the service's container."""
        return {item["name"]: item.get("value", "") for item in self.container(values)["env"]}
