"""JSON schemas of Kubernetes' own objects for kubeconform, made from the OpenAPI document of the pinned release."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import locks, paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.tools import pins

MODULE = "k8s.io/kubernetes"
DOCUMENT = "api/openapi-spec/swagger.json"
GROUP_KINDS = "x-kubernetes-group-version-kind"
LOCATION = "{{.ResourceKind}}{{.KindSuffix}}.json"  # kubeconform's own naming
PREFIX = "#/definitions/"
BUILD = 1


def kubernetes() -> str:
    """The Kubernetes version that the chart is checked against: the lab's."""
    row = pins.pin("kube-apiserver")
    if not isinstance(row, pins.GoPin):
        raise Stop("kube-apiserver is not pinned to a Go module", Code.USAGE)
    return row.version


def folder(c: Context) -> Path:
    """The folder with one schema per kind; made once per Kubernetes version. Raises Stop (4) without its sources."""
    version = kubernetes()
    home = paths.cache() / "databases" / "kubernetes-schemas"
    dest = home / f"{version}-{BUILD}"
    if dest.is_dir():
        return dest
    with locks.exclusive(home / "lock", "the Kubernetes schemas"):
        if not dest.is_dir():
            document = tools.source_dir(c, MODULE) / DOCUMENT
            with tempfile.TemporaryDirectory(dir=home, prefix=".build.") as scratch:
                made = Path(scratch) / "made"
                made.mkdir()
                write(document, made)
                made.replace(dest)
    return dest


def write(document: Path, dest: Path) -> int:
    """Writes the schema of every kind in an OpenAPI 2 document; returns their number. Raises Stop (4) for none."""
    try:
        definitions = json.loads(document.read_text(encoding="utf-8"))["definitions"]
    except (OSError, ValueError, KeyError) as error:
        raise Stop(f"{document.name} of Kubernetes cannot be read: {error}", Code.COULD_NOT_RUN) from error
    strict = {name: _strict(definition) for name, definition in definitions.items()}
    count = 0
    for name, definition in definitions.items():
        for kind in definition.get(GROUP_KINDS, []):
            group = f"-{kind['group'].split('.')[0]}" if kind["group"] else ""
            file = f"{kind['kind']}{group}-{kind['version']}.json".lower()
            (dest / file).write_text(json.dumps(_standalone(name, kind, strict)), encoding="utf-8")
            count += 1
    if not count:
        raise Stop(f"{document.name} of Kubernetes defines no kinds", Code.COULD_NOT_RUN)
    return count


def _strict(definition: dict[str, Any]) -> dict[str, Any]:
    """The definition without texts, closed to unknown keys; what is optional may be null, as for the API server."""
    if definition.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    if "Quantity is a fixed-point representation" in definition.get("description", ""):
        return {"type": ["string", "number"]}
    kept = {key: value for key, value in definition.items() if key in ("type", "required", "additionalProperties")}
    if "$ref" in definition:
        kept["$ref"] = definition["$ref"]
    if "items" in definition:
        kept["items"] = _strict(definition["items"])
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = _strict(kept["additionalProperties"])
    if "properties" in definition:
        needed = definition.get("required", [])
        kept["properties"] = {
            key: _strict(value) if key in needed else _or_null(_strict(value))
            for key, value in definition["properties"].items()
        }
        kept.setdefault("additionalProperties", False)
    return kept


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema.get("type", [])
    return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]} if kinds else schema


def _standalone(name: str, kind: dict[str, str], definitions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    version = f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"]
    needed: dict[str, dict[str, Any]] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in needed:
            needed[current] = definitions[current]
            waiting += [ref.removeprefix(PREFIX) for ref in _references(definitions[current])]
    identity = {"apiVersion": {"enum": [version]}, "kind": {"enum": [kind["kind"]]}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "allOf": [{"$ref": f"{PREFIX}{name}"}, {"properties": identity, "required": ["apiVersion", "kind"]}],
        "definitions": needed,
    }


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        # A property may be named $ref, too (in JSONSchemaProps): its value is a schema.
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _references(value)]
    return [ref for item in node for ref in _references(item)] if isinstance(node, list) else []
