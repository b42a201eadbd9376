"""Prometheus rule files as models, what is generated from them, and the links that each alert carries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from tasks.lib.observe import files, slo
from tasks.lib.observe.files import FOLDER, Strict


class Rule(Strict):
    """One recording or alerting rule."""

    record: str = ""
    alert: str = ""
    expr: str = Field(min_length=1)
    wait: str = Field("", alias="for")
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Group(Strict):
    name: str
    interval: str = ""
    rules: list[Rule]


class RuleFile(Strict):
    groups: list[Group]


def sources(folder: Path = FOLDER) -> list[Path]:
    """The rule files, in the order of their names."""
    return sorted((folder / "rules").glob("*.yaml"))


def read(folder: Path = FOLDER) -> list[tuple[Path, Rule]]:
    """Every rule with its file. Raises Stop (2) when a file is no rule file."""
    return [
        (path, rule) for path in sources(folder) for group in files.model(RuleFile, path).groups for rule in group.rules
    ]


def write(folder: Path = FOLDER) -> list[Path]:
    """Writes what is generated, and the starts of all links, anew; returns the files that changed. Raises Stop (2)."""
    changed = _stale(folder)
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(changed)


def stale(folder: Path = FOLDER) -> list[Path]:
    """The files that `write` would change. Raises Stop (2)."""
    return list(_stale(folder))


def _stale(folder: Path) -> dict[Path, str]:
    links = files.links(folder)
    read(folder)  # says which of them is no rule file
    burns = folder / "rules" / "slo.yaml"
    made = {path: relink(path.read_text(encoding="utf-8"), links) for path in sources(folder)}
    made[burns] = slo.rules(slo.read(folder), links)
    made[folder / "kubernetes" / "prometheusrule.yaml"] = kubernetes(made[path] for path in sorted(made))
    return {path: text for path, text in made.items() if not path.is_file() or path.read_text(encoding="utf-8") != text}


def relink(text: str, links: files.Links) -> str:
    """A rule file whose links start as links.yaml says."""
    text = re.sub(r"(runbook_url: '?)https?://\S+(/\w+\.md)", rf"\g<1>{links.runbooks}\g<2>", text)
    return re.sub(r"(dashboard_url: '?)https?://[^?'\s]+(/[\w-]+)(?=[?'\s])", rf"\g<1>{links.dashboards}\g<2>", text)


def kubernetes(texts: Iterable[str]) -> str:
    """The rule files with these texts as one PrometheusRule of the Prometheus operator."""
    from ruamel.yaml import YAML

    groups = [group for text in texts for group in YAML(typ="safe").load(text)["groups"]]
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "slipway", "labels": {"app.kubernetes.io/part-of": "slipway"}},
        "spec": {"groups": groups},
    }
    return files.GENERATED.format(source="alerts/rules") + files.text(manifest)
