"""What the configuration gate looks at: files of the commit, and the chart rendered for each environment in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import git, paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import running, schemas
from tasks.lib.gates.models import Finding
from tasks.lib.runner import run
from tasks.lib.settings import SERVICE, Severity

DOCKERFILE, CHART, TERRAFORM, ENVIRONMENTS = "service/Dockerfile", "k8s/helm", "infra/terraform", "gitops/environments"
HELM_SECONDS = 60.0


@dataclass
class Material:
    """A folder for the scanners: what it holds, and what was already found while making it."""

    folder: Path
    rendered: dict[str, Path] = field(default_factory=dict)
    terraform: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def gather(c: Context, sha: str, scratch: Path, repo: Path = paths.ROOT) -> Material:
    """Takes Dockerfile, chart and Terraform out of the commit, renders the chart. Raises Stop (4) if it has none."""
    held = git.ask(c, "ls-tree", "-r", "--name-only", sha, "--", DOCKERFILE, CHART, TERRAFORM, ENVIRONMENTS, repo=repo)
    files = held.splitlines()
    for needed in (DOCKERFILE, f"{CHART}/Chart.yaml"):
        if needed not in files:
            raise Stop(f"config: commit {sha[:8]} has no {needed}", Code.COULD_NOT_RUN)
    source, folder = scratch / "commit", scratch / "tree"
    roots = sorted({root for root in (DOCKERFILE, CHART, TERRAFORM, ENVIRONMENTS) for f in files if f.startswith(root)})
    git.unpack(c, sha, source, *roots, repo=repo)
    material = Material(
        folder, terraform=[file for file in files if file.startswith(TERRAFORM) and file.endswith(".tf")]
    )
    for kept in (DOCKERFILE, TERRAFORM):
        if (source / kept).exists():
            (folder / kept).parent.mkdir(parents=True, exist_ok=True)
            (source / kept).rename(folder / kept)
    names = sorted(
        Path(file).parent.name for file in files if file.startswith(ENVIRONMENTS) and file.endswith("/values.yaml")
    )
    if not names:
        raise Stop(f"config: commit {sha[:8]} has no {ENVIRONMENTS}/*/values.yaml", Code.COULD_NOT_RUN)
    for name in names:
        _render(c, material, source, name, sha)
    return material


def _render(c: Context, material: Material, source: Path, name: str, sha: str) -> None:
    helm = tools.path(c, "helm")
    chart = source / CHART
    values = source / f"{name}.json"
    values.write_text(json.dumps(_values(source / ENVIRONMENTS / name / "values.yaml", sha)), encoding="utf-8")
    common: list[str | Path] = [
        "--namespace",
        f"slipway-{name}",
        "--values",
        values,
        "--kube-version",
        schemas.kubernetes(),
    ]
    home = {f"HELM_{kind}_HOME": str(source / "helm") for kind in ("CACHE", "CONFIG", "DATA")}
    home |= running.FEWER_COLLECTIONS
    lint: list[str | Path] = [helm, "lint", "--strict", "--quiet", chart, *common]
    result = run(c, lint, step="lint the chart", timeout=HELM_SECONDS, env=home, ok=(0, 1), quiet=True)
    if result.exited:
        material.findings.append(_chart_finding("helm-lint", name, result.stdout + result.stderr))
    template: list[str | Path] = [helm, "template", f"slipway-{name}", chart, *common]
    result = run(c, template, step="render the chart", timeout=HELM_SECONDS, env=home, ok=(0, 1), quiet=True)
    if result.exited:
        material.findings.append(_chart_finding("helm-template", name, result.stderr))
        return
    dest = material.folder / "rendered" / f"{name}.yaml"
    dest.parent.mkdir(parents=True, exist_ok=True)
    dest.write_text(result.stdout, encoding="utf-8")
    material.rendered[name] = dest


def _values(path: Path, sha: str) -> dict[str, Any]:
    """What Argo CD would give the chart: the environment's own values, and a release."""
    from ruamel.yaml import YAML

    data = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    image = {"repository": f"registry.invalid/{SERVICE}", "tag": sha, "digest": f"sha256:{'0' * 64}"}
    return {**(data.get("values") or {}), "image": image, "release": {"revision": sha}}


def _chart_finding(kind: str, name: str, output: str) -> Finding:
    lines = [line.strip() for line in output.splitlines() if "ERROR" in line or "Error" in line or "WARNING" in line]
    title = (lines or output.split("\n") or ["the chart is not valid"])[0][:300]
    return Finding(id=kind, severity=Severity.HIGH, title=f"{name}: {title}", file=CHART, package="chart")
