"""Misconfigurations in Dockerfile, rendered chart and Terraform, found by Trivy, helm lint and kubeconform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import render, running, schemas, trivy
from tasks.lib.gates.models import Finding, Report
from tasks.lib.gates.render import Material
from tasks.lib.gates.trivy_output import Misconfiguration
from tasks.lib.runner import run
from tasks.lib.settings import Environment, Severity
from tasks.lib.tools import find, pins

GATE = "config"
PLANTED = "planted"
# One known-bad file per kind that is scanned, beside the commit's files and in the same run.
CANARIES = {
    "dockerfile": ("Dockerfile", "FROM debian:12\nUSER root\nCMD bash\n"),
    "kubernetes": (
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: planted, namespace: planted}\nspec:\n"
        "  containers:\n  - {name: planted, image: 'planted:1', securityContext: {privileged: true}}\n",
    ),
    "terraform": (
        "main.tf",
        'resource "aws_security_group_rule" "planted" {\n  type = "ingress"\n  from_port = 22\n  to_port = 22\n'
        '  protocol = "tcp"\n  cidr_blocks = ["0.0.0.0/0"]\n  security_group_id = "sg-1"\n}\n',
    ),
}
SERIOUS = ("CRITICAL", "HIGH")
HELPERS = ("helm", "kubeconform")
SCHEMA = "schema"
WRONG = "apiVersion: v1\nkind: Service\nmetadata: {name: planted}\nspec: {planted: true}\n"


def check(c: Context, env: Environment, sha: str, repo: Path = paths.ROOT) -> Report:
    """Scans what the commit would be built and deployed from; keeps and returns the report."""

    def look(report: Report, scratch: Path) -> None:
        material = render.gather(c, sha, scratch, repo)
        report.findings += material.findings
        for kind, (name, text) in CANARIES.items():
            (material.folder / PLANTED / kind).mkdir(parents=True)
            (material.folder / PLANTED / kind / name).write_text(text, encoding="utf-8")
        _kubeconform(c, report, material)
        for name in HELPERS:
            report.helpers[name] = find.version_of(c, tools.path(c, name), pins.pin(name).version_args)
        program = tools.path(c, "trivy")
        words: list[str | Path] = ["config", "--skip-check-update", "--misconfig-scanners"]
        words += ["dockerfile,kubernetes,terraform", "--cache-dir", scratch / "cache", material.folder]
        report.command = trivy.shown(words, scratch)
        answer = trivy.ask(c, program, words, scratch, "scan the configuration")
        report.version = trivy.version(answer)
        results = answer.get("Results") or []
        _canaries(report, results)
        own = [result for result in results if not result["Target"].startswith(f"{PLANTED}/")]
        report.covered.files = _all_looked_at(material, own)
        report.findings += _findings(own, list(material.rendered)) + _inline(material)

    return running.examine(GATE, sha, "trivy", look)


def _kubeconform(c: Context, report: Report, material: Material) -> None:
    report.canary.planted.append(SCHEMA)
    wrong = material.folder.with_name("wrong.yaml")
    wrong.write_text(WRONG, encoding="utf-8")
    where = f"{schemas.folder(c)}/{schemas.LOCATION}"
    words: list[str | Path] = [tools.path(c, "kubeconform"), "-strict", "-summary", "-output", "json"]
    words += ["-schema-location", where, *material.rendered.values(), wrong]
    quick = running.FEWER_COLLECTIONS
    result = run(c, words, step="validate the rendered chart", timeout=120, ok=(0, 1), quiet=True, env=quick)
    answer = json.loads(result.stdout)
    if material.rendered and not answer["summary"]["valid"] and len(answer["resources"]) < 2:
        raise Stop("config: kubeconform saw no object in the rendered chart", Code.COULD_NOT_RUN)
    if skipped := answer["summary"]["skipped"]:
        raise Stop(f"config: kubeconform did not look at {skipped} objects of the chart", Code.COULD_NOT_RUN)
    found = {}
    for problem in answer["resources"] or []:
        if problem["filename"] == str(wrong):
            report.canary.caught += [SCHEMA] if problem["status"] == "statusInvalid" else []
            continue
        text = problem["msg"].rpartition("#' ")[2].replace("- at '': 'allOf' failed", "").strip()
        title = f"{problem['kind']} {problem['name']} ({problem['version']}): {' '.join(text.split())}"[:300]
        found[title] = Finding(
            id="kubeconform", severity=Severity.HIGH, title=title, file=render.CHART, package=problem["kind"]
        )
    report.findings += found.values()


def _canaries(report: Report, results: list[dict[str, Any]]) -> None:
    report.canary.planted += CANARIES
    for result in results:
        kind = result["Target"].removeprefix(f"{PLANTED}/").partition("/")[0]
        serious = any(one["Severity"] in SERIOUS for one in result.get("Misconfigurations") or [])
        if result["Target"].startswith(f"{PLANTED}/") and serious and kind not in report.canary.caught:
            report.canary.caught.append(kind)


def _all_looked_at(material: Material, results: list[dict[str, Any]]) -> list[str]:
    """Trivy leaves out files that it cannot read, with exit code 0. Raises Stop (4) for those."""
    seen = {result["Target"] for result in results}
    wanted = {render.DOCKERFILE, *(f"rendered/{path.name}" for path in material.rendered.values())}
    left_out = sorted(wanted - seen)
    if material.terraform and not any(target.startswith(render.TERRAFORM) for target in seen):
        left_out.append(render.TERRAFORM)
    if left_out:
        raise Stop(f"config: Trivy did not look at {', '.join(left_out)}", Code.COULD_NOT_RUN)
    return sorted(wanted | set(material.terraform))


def _findings(results: list[dict[str, Any]], environments: list[str]) -> list[Finding]:
    """One finding per check, file and object; the same in several environments' rendering is one."""
    found: dict[tuple[str, ...], Finding] = {}
    for result in results:
        target = render.CHART if result["Target"].startswith("rendered/") else result["Target"]
        for one in map(Misconfiguration.model_validate, result.get("Misconfigurations") or []):
            if one.status == "PASS":
                continue
            if target == render.CHART:
                one.cause.line = 0
                for name in environments:
                    one.message = one.message.replace(f"slipway-{name}", "slipway-<environment>")
            found[one.id, target, str(one.cause.line), one.message] = one.finding(target)
    return list(found.values())


def _inline(material: Material) -> list[Finding]:
    """Comments that make Trivy skip a check: waivers that nobody reviewed, and that never end."""
    found = []
    marks = [f"{tool}:ignore:" for tool in ("trivy", "tfsec")]
    for path in sorted(material.folder.rglob("*")):
        name = path.relative_to(material.folder).as_posix()
        if path.is_file() and not name.startswith(PLANTED):
            for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
                if any(mark in text for mark in marks):
                    title = "a comment switches a check off; write a waiver in gitops/waivers.yaml instead"
                    one = Finding(id="inline-ignore", severity=Severity.HIGH, title=title, file=name, line=number)
                    found.append(one)
    return found
