"""Takes what is sensitive out of Terraform's JSON, and marks what is known only after the apply."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

SENSITIVE = "(sensitive)"
UNKNOWN = "(known after apply)"

# What a provider forgets to mark. Names of the kind `manage_master_user_password` are switches, so only text is masked.
_TELLING = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|secret_string|secret_key|secret_access_key|private_key|private_key_pem|"
    r"token|auth_token|api_key|access_key|credentials|user_data|user_data_base64|connection_string)(_wo)?$"
)


def pair(change: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Before and after of a change without sensitive values, and the top-level attributes that differ.

    An attribute that is sensitive on one side is masked on both: the mark may be as new as the change.
    """
    raw_before, raw_after = change.get("before") or {}, change.get("after") or {}
    marks = (change.get("before_sensitive"), change.get("after_sensitive"))
    unknown = change.get("after_unknown")
    before = _inside(raw_before, marks, None)
    after = _inside(raw_after, marks, unknown)
    names = sorted({*raw_before, *after})
    changed = [name for name in names if raw_before.get(name) != raw_after.get(name) or _some(after.get(name))]
    return before, after, [name for name in changed if raw_before.get(name) is not None or after.get(name) is not None]


def paths(found: Iterable[Iterable[str | int]]) -> list[str]:
    """Terraform's paths as a person writes them: `vpc_config[0].subnet_ids`, each once."""
    written = ("".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path) for path in found)
    return list(dict.fromkeys(text.lstrip(".") for text in written))


def printable(text: str) -> str:
    """One line without control sequences: addresses and values are anybody's text."""
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text).strip()


def _some(value: Any) -> bool:
    """Whether a masked value has something in it that is not known yet."""
    if isinstance(value, dict):
        return any(map(_some, value.values()))
    return any(map(_some, value)) if isinstance(value, list) else value == UNKNOWN


def _inside(value: dict[str, Any], marks: Any, unknown: Any) -> dict[str, Any]:
    later = unknown if isinstance(unknown, dict) else {}
    keys = sorted({*value, *(key for key, mark in later.items() if _marked(mark))})
    return {key: _mask(value.get(key), _below(marks, key), later.get(key), key) for key in keys}


def _marked(mark: Any) -> bool:
    # Terraform writes {} and [] where nothing below is unknown.
    if isinstance(mark, (dict, list)):
        return any(map(_marked, mark.values() if isinstance(mark, dict) else mark))
    return mark is True


def _mask(value: Any, marks: Any, unknown: Any, name: str = "") -> Any:
    if unknown is True:
        return UNKNOWN
    if value is not None and any(mark is True for mark in marks):
        return SENSITIVE
    if isinstance(value, dict):
        return _inside(value, marks, unknown)
    if isinstance(value, list):
        later_at = unknown if isinstance(unknown, list) else []
        return [
            _mask(one, _below(marks, at), later_at[at] if at < len(later_at) else None, name)
            for at, one in enumerate(value)
        ]
    return SENSITIVE if isinstance(value, str) and value and telling(name) else value


def telling(name: str) -> bool:
    """Whether an attribute of this name holds a secret, whatever the provider says of it."""
    return bool(_TELLING.search(name))


def _below(marks: Any, key: str | int) -> tuple[Any, ...]:
    def one(mark: Any) -> Any:
        if mark is True:
            return True
        if isinstance(mark, dict):
            return mark.get(str(key))
        return mark[key] if isinstance(mark, list) and isinstance(key, int) and key < len(mark) else None

    return tuple(one(mark) for mark in marks)


def references(configuration: dict[str, Any]) -> list[dict[str, Any]]:
    """What the attributes of every resource refer to; constants of the configuration are left where they are."""
    return list(_references(configuration.get("root_module") or {}, ""))


def _references(module: dict[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    for resource in module.get("resources") or []:
        for attribute, expression in (resource.get("expressions") or {}).items():
            if targets := list(dict.fromkeys(_targets(expression))):
                yield {"address": prefix + resource["address"], "attribute": attribute, "targets": targets}
    for name, call in (module.get("module_calls") or {}).items():
        yield from _references(call.get("module") or {}, f"{prefix}module.{name}.")


def _targets(expression: Any) -> Iterator[str]:
    if isinstance(expression, list):
        for one in expression:
            yield from _targets(one)
    elif isinstance(expression, dict):
        yield from expression.get("references") or []
        for key, one in expression.items():
            if key not in ("references", "constant_value"):
                yield from _targets(one)
