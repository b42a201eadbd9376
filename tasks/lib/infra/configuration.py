"""What Terraform's files say, read by python-hcl2: blocks, with values where the text alone has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks.lib.errors import Code, Stop

LOCK_FILE = ".terraform.lock.hcl"
DEEPEST = 10  # references that lead to references

_REFERENCE = re.compile(r"\$\{(var|local)\.(\w+)((?:\.\w+|\[\d+\])*)\}")
_NAMES = re.compile(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+")


class Block(BaseModel):
    """One block of the configuration: a resource, or a `terraform`, `provider`, `module` or `variable` block."""

    model_config = ConfigDict(frozen=True)

    type: str
    name: str
    module: str = ""
    file: str
    values: dict[str, Any]

    @property
    def address(self) -> str:
        """As Terraform writes it, without count and for_each: `module.database.aws_db_instance.this`."""
        return f"{self.module}{self.type}.{self.name}" if self.name else f"{self.module}{self.type}"


class Scope(BaseModel):
    """What names mean in one module: variables that were given or have a default, and locals."""

    var: dict[str, Any] = {}
    local: dict[str, Any] = {}


def read(folder: Path, variables: Path | None = None) -> list[Block]:
    """Every block of a root and of the modules that it calls from its own folders.

    variables: a tfvars file whose values go before the defaults. Raises Stop (2) for what cannot be read as HCL.
    """
    if not any(folder.glob("*.tf")):
        raise Stop(f"Read the configuration: there is no Terraform in {folder.name}", Code.USAGE)
    given = {} if variables is None else parse(variables)
    return list(_module(folder, folder, "", given))


def parse(path: Path) -> dict[str, Any]:
    """A file as python-hcl2 has it; expressions are text of the form `${...}`. Raises Stop (2)."""
    try:
        return _hcl(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(f"Read the configuration: {path.name}: {type(error).__name__}", Code.USAGE) from error
    except Exception as error:  # lark's errors share no base that hcl2 would promise
        line = getattr(error, "line", None)
        where = f"{path.name}:{line}" if line else path.name
        raise Stop(f"Read the configuration: {where} is no HCL", Code.USAGE, "terraform fmt -check -diff") from error


@lru_cache(maxsize=512)
def _hcl_cached(text: str) -> dict[str, Any]:
    import hcl2
    from hcl2.utils import SerializationOptions

    options = SerializationOptions(
        with_comments=False, explicit_blocks=False, preserve_heredocs=False, strip_string_quotes=True
    )
    found: dict[str, Any] = hcl2.loads(text, serialization_options=options)
    return found


def _hcl(text: str) -> dict[str, Any]:
    # The grammar wants a last line that ends; a file without one is valid for Terraform.
    return _hcl_cached(text if text.endswith("\n") else f"{text}\n")


def _module(folder: Path, root: Path, prefix: str, given: dict[str, Any]) -> Iterator[Block]:
    files = {path: parse(path) for path in sorted(folder.glob("*.tf"))}
    blocks = [(path, kind, one) for path, found in files.items() for kind, many in found.items() for one in many]
    defaults = {
        name: body["default"]
        for _, kind, one in blocks
        if kind == "variable"
        for name, body in one.items()
        if "default" in body
    }
    scope = Scope(var={**defaults, **given})
    for _, kind, one in blocks:
        if kind == "locals":
            scope.local.update(one)
    if not prefix:
        yield _terraform(folder, [one for _, kind, one in blocks if kind == "terraform"])
    for path, kind, one in blocks:
        name = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
        yield from _blocks(kind, one, name, prefix, scope)
        if kind == "module":
            yield from _calls(one, folder, root, prefix, scope)


def _terraform(folder: Path, blocks: list[dict[str, Any]]) -> Block:
    values: dict[str, Any] = {"lock_file": (folder / LOCK_FILE).is_file(), "required_providers": {}}
    for block in blocks:
        for many in block.get("required_providers", []):
            values["required_providers"].update(many)
        for backend in block.get("backend", []):
            for kind, body in backend.items():
                values["backend"] = {"type": kind, **body}
        values.update({key: value for key, value in block.items() if key not in ("required_providers", "backend")})
    return Block(type="terraform", name="", file="versions.tf", values=values)


def _blocks(kind: str, one: dict[str, Any], file: str, prefix: str, scope: Scope) -> Iterator[Block]:
    if kind in ("resource", "data"):
        for label, named in one.items():
            for name, body in named.items():
                # What data sources bring is not made here; of the rest, only what their text says can be judged.
                label_of = label if kind == "resource" else f"data.{label}"
                yield Block(type=label_of, name=name, module=prefix, file=file, values=resolve(_plain(body), scope))
    elif kind in ("provider", "module", "variable", "output"):
        for name, body in one.items():
            yield Block(type=kind, name=name, module=prefix, file=file, values=resolve(_plain(body), scope))


def _calls(one: dict[str, Any], folder: Path, root: Path, prefix: str, scope: Scope) -> Iterator[Block]:
    for name, body in one.items():
        source = body.get("source", "")
        inner = (folder / source).resolve()
        if source.startswith(("./", "../")) and inner.is_dir():
            yield from _module(inner, root.resolve(), f"{prefix}module.{name}.", _outer(resolve(body, scope)))


def _outer(value: Any) -> Any:
    """What a module is given, with names of the caller that mean something else inside."""
    if isinstance(value, dict):
        return {key: _outer(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_outer(one) for one in value]
    return re.sub(r"\b(var|local)\.", r"outer.\1.", value) if isinstance(value, str) and "${" in value else value


def _plain(body: dict[str, Any]) -> dict[str, Any]:
    """A block in which dynamic blocks stand as one block of their kind each."""
    values = {key: value for key, value in body.items() if key != "dynamic"}
    for dynamic in body.get("dynamic", []):
        for label, inside in dynamic.items():
            values[label] = [*values.get(label, []), *map(_plain, inside.get("content", []))]
    return values


def resolve(value: Any, scope: Scope, depth: int = DEEPEST) -> Any:
    """A value with what variables, locals and jsonencode say put in; what is not known stays an expression."""
    if isinstance(value, dict):
        return {key: resolve(one, scope, depth) for key, one in value.items()}
    if isinstance(value, list):
        return [resolve(one, scope, depth) for one in value]
    if not isinstance(value, str) or depth == 0 or not value.startswith("${"):
        return value
    if value.startswith("${jsonencode(") and value.endswith(")}"):
        try:
            return resolve(_hcl(f"value = {value[len('${jsonencode(') : -2]}")["value"], scope, depth - 1)
        except Exception:  # what hcl2 cannot read again stays unknown
            return value
    if found := _REFERENCE.fullmatch(value):
        names: dict[str, Any] = getattr(scope, found[1])
        inside = names.get(found[2])
        for part in re.findall(r"\w+", found[3]):
            inside = _at(inside, part)
        return value if inside is None else resolve(inside, scope, depth - 1)
    return value


def _at(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    return value[int(part)] if isinstance(value, list) and part.isdigit() and int(part) < len(value) else None


def references(value: Any) -> list[str]:
    """What an expression refers to: `aws_s3_bucket.this.id`, `var.name`."""
    if isinstance(value, dict):
        return [name for one in value.values() for name in references(one)]
    if isinstance(value, list):
        return [name for one in value for name in references(one)]
    return _NAMES.findall(value) if isinstance(value, str) and "${" in value else []
