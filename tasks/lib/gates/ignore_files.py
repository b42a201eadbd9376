"""The scanners' own ignore files: made from the waivers for raw tools used by hand, refused where somebody wrote one.

The gates read none of them. The verdict waives, so a waived finding stays in every report.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from invoke.context import Context

from tasks.lib import git, paths
from tasks.lib.gates import store
from tasks.lib.gates.waivers import FILE, Waiver

BY_HAND = (".trivyignore", ".trivyignore.yaml", ".trivyignore.yml", ".safety-policy.yml", ".bandit")
TRIVY, SAFETY = "trivyignore.yaml", "safety-policy.yml"
HEADER = f"# Made from {FILE} by ./inv scan.waivers --write; what is changed here is lost.\n"


def folder() -> Path:
    """Where the generated files are."""
    return paths.work() / "ignore"


def by_hand(c: Context, sha: str, repo: Path = paths.ROOT) -> list[str]:
    """The ignore files that a commit holds: waivers without owner and end, which the gates leave out of account."""
    held = git.ask(c, "ls-tree", "-r", "-z", "--name-only", sha, repo=repo, step="look for ignore files")
    return [name for name in held.split("\0") if PurePosixPath(name).name in BY_HAND]


def write(waivers: Iterable[Waiver], now: date) -> dict[Path, int]:
    """Writes the ignore files of the waivers that hold today; returns how many entries each has.

    There is none for TruffleHog, bandit and ShellCheck: they can only leave out whole files or whole rules. Raises
    Stop (4) when the disc does not take them.
    """
    holding = [one for one in waivers if one.created <= now <= one.expires]
    made = {}
    for name, (content, entries) in {TRIVY: trivy(holding), SAFETY: safety(holding)}.items():
        store.write_text(folder() / name, HEADER + _yaml(content))
        made[folder() / name] = entries
    return made


def trivy(waivers: Sequence[Waiver]) -> tuple[dict[str, Any], int]:
    """For `trivy --ignorefile`, and how many entries. Trivy's own date is the first day on which one counts no more.

    A waiver of an object in the chart is left out: Trivy could only hide the check in the whole file.
    """
    packages, files = [], []
    for waiver in waivers:
        ends = {"expired_at": waiver.expires + timedelta(days=1), "statement": waiver.reason}
        if {"deps", "image"} & {*waiver.gates}:
            purls = (
                [waiver.purl] if waiver.purl else [f"pkg:{kind}/{waiver.package}" for kind in ("pypi", "deb/debian")]
            )
            packages.append({"id": waiver.id, "purls": purls, **ends})
        if "config" in waiver.gates and "." in PurePosixPath(waiver.subject).name:
            files.append({"id": waiver.id, "paths": [waiver.subject], **ends})
    return {"vulnerabilities": packages, "misconfigurations": files}, len(packages) + len(files)


def safety(waivers: Sequence[Waiver]) -> tuple[dict[str, Any], int]:
    """For `safety check --policy-file`, which takes only the numbers of Safety's own database as ids."""
    ignored = {
        int(waiver.id): {"reason": waiver.reason, "expires": (waiver.expires + timedelta(days=1)).isoformat()}
        for waiver in waivers
        if "deps" in waiver.gates and waiver.id.isdecimal()
    }
    return {"security": {"ignore-vulnerabilities": ignored}}, len(ignored)


def _yaml(content: object) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()
