"""docs/infrastructure-reference.md: every variable and output of the Terraform root and its modules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.lib import paths
from tasks.lib.infra import configuration
from tasks.lib.infra_settings import ROOT_FOLDER

FILE = "docs/infrastructure-reference.md"
COMMAND = "./inv docs.reference"
HEAD = f"""# Variables and outputs of the infrastructure

Written by `{COMMAND}` from the files of [{ROOT_FOLDER}](../{ROOT_FOLDER}); edit those. An environment's values are in
`{ROOT_FOLDER}/environments/`.
"""


def render(root: Path) -> str:
    """The whole page for a Terraform root. Raises Stop (2) where a file is no HCL."""
    folders = [root, *sorted(path for path in (root / "modules").glob("*") if any(path.glob("*.tf")))]
    return "\n".join([HEAD, *(part for folder in folders for part in _section(folder, root))])


def stale(root: Path | None = None) -> bool:
    """Whether the page is not what the files say; no page is right where there is no Terraform."""
    root = root or paths.ROOT
    folder, page = root / ROOT_FOLDER, root / FILE
    if not any(folder.glob("*.tf")):
        return False
    return not page.is_file() or page.read_text(encoding="utf-8") != render(folder)


def write(root: Path | None = None) -> Path:
    """Writes the page and returns where it is."""
    root = root or paths.ROOT
    page = root / FILE
    page.write_text(render(root / ROOT_FOLDER), encoding="utf-8")
    return page


def _section(folder: Path, root: Path) -> Iterator[str]:
    variables, outputs = _named(folder, "variable"), _named(folder, "output")
    yield f"## {'The root' if folder == root else f'Module `{folder.name}`'}\n"
    if variables:
        yield "| variable | type | default | what |\n|---|---|---|---|"
        yield from (_variable(name, body) for name, body in sorted(variables.items()))
        yield ""
    if outputs:
        yield "| output | what |\n|---|---|"
        yield from (f"| `{name}` | {_text(body, 'no description')} |" for name, body in sorted(outputs.items()))
        yield ""


def _named(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.tf")):
        for one in configuration.parse(path).get(kind, []):
            found.update(one)
    return found


def _variable(name: str, body: dict[str, Any]) -> str:
    if "default" not in body:
        default = "required"
    elif body.get("sensitive") is True:
        default = "not shown"
    else:
        default = f"`{_cell(json.dumps(body['default'], ensure_ascii=False))}`"
    return f"| `{name}` | `{_cell(_type(body))}` | {default} | {_text(body, 'no description')} |"


def _type(body: dict[str, Any]) -> str:
    written = str(body.get("type", "any"))
    return written[2:-1] if written.startswith("${") else written


def _text(body: dict[str, Any], otherwise: str) -> str:
    mark = " (sensitive)" if body.get("sensitive") is True else ""
    return _cell(str(body.get("description") or otherwise)) + mark


def _cell(text: str) -> str:
    # A table's row is one line, and a bar would end the cell; python-hcl2 leaves quotes of a heredoc escaped.
    return " ".join(text.replace('\\"', '"').split()).replace("|", "\\|")
