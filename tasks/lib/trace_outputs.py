"""What a task left under .slipway/releases, as digests that do not depend on the hour: reports, SBOM, image, record."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tasks.lib import paths, trace, trace_words

# Who and where, which a record is there to say; which sources of a database did not answer, of which its digest says
# all that counts; and digests of files with times in them, which are compared themselves.
OF_THE_RUN = {"by", "pipeline", "ref", "note", "report_sha256", "sbom_sha256"}
ARCHIVES = (".tar", ".part")  # built.json names the image by its digest


def state() -> dict[Path, int]:
    """The files that are there, with the time of their last change."""
    folder = paths.work() / "releases"
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def since(before: dict[Path, int]) -> tuple[dict[str, str], dict[str, str]]:
    """Digests by name of the files that were written since, and the databases that gates say they compared with."""
    outputs, databases = {}, {}
    for path, changed in state().items():
        of_machine = path.suffix in ARCHIVES or path.name.startswith(".") or str(path) == os.environ.get(trace.FILE)
        if before.get(path) == changed or of_machine:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        data = _json(text) if path.suffix in (".json", ".sarif") else None
        if isinstance(data, dict) and data.get("gate") and isinstance(data.get("database"), dict):
            databases[str(data["gate"])] = str(data["database"].get("digest"))
        kept = _plain(text) if data is None else json.dumps(_steady(data), sort_keys=True)
        outputs[str(path.relative_to(paths.work() / "releases"))] = hashlib.sha256(kept.encode()).hexdigest()[:16]
    return outputs, databases


def _plain(text: str) -> str:
    return trace_words.steady(text, trace.commits())


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _steady(data: Any) -> Any:
    """The same data without what belongs to one run; lists are sorted, since some are ordered by random ids."""
    if isinstance(data, dict):
        return {_plain(key): _steady(value) for key, value in data.items() if key not in OF_THE_RUN}
    if isinstance(data, list):
        return sorted((_steady(one) for one in data), key=lambda one: json.dumps(one, sort_keys=True))
    return _plain(data) if isinstance(data, str) else data
