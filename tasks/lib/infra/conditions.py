"""The words that conditions of policy rules have beside JMESPath's own."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

import jmespath
from jmespath import functions

from tasks.lib.infra.masking import SENSITIVE, UNKNOWN, telling

WIDEST = 8  # a range with a shorter prefix than this is the internet, whatever it is called

_PINNED = re.compile(r"^\s*(=|~>)?\s*v?\d+(\.\d+)*\s*$")
_KEYS = re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----")


class Words(functions.Functions):  # type: ignore[misc]
    """Functions for conditions; each takes null and what is not known yet for what is not there."""

    @functions.signature({"types": []})
    def _func_list(self, value: Any) -> list[Any]:
        return _list(value)

    @functions.signature({"types": []})
    def _func_open(self, ranges: Any) -> bool:
        """Whether one of the address ranges is (next to) the whole internet."""
        return any(_open(one) for one in _list(ranges))

    @functions.signature({"types": []})
    def _func_closed(self, ranges: Any) -> bool:
        """Whether there are address ranges, all of them known and none the internet."""
        found = _list(ranges)
        return bool(found) and all(_network(one) is not None and not _open(one) for one in found)

    @functions.signature({"types": []}, {"types": []}, {"types": []})
    def _func_covers(self, first: Any, last: Any, port: Any) -> bool:
        """Whether a port is between two others."""
        try:
            return int(first) <= int(port) <= int(last)
        except (TypeError, ValueError):
            return False

    @functions.signature({"types": []})
    def _func_all_true(self, values: Any) -> bool:
        """Whether there are values and all are true, also where the provider has them as text."""
        found = _list(values)
        return bool(found) and all(one is True or one == "true" for one in found)

    @functions.signature({"types": []})
    def _func_statements(self, policy: Any) -> list[dict[str, Any]]:
        """The statements of an IAM policy, with Action and Resource as lists."""
        if isinstance(policy, str):
            try:
                policy = json.loads(policy)
            except ValueError:
                return []
        found = _list(policy.get("Statement") if isinstance(policy, dict) else None)
        return [
            {**one, "Action": _list(one.get("Action")), "Resource": _list(one.get("Resource"))}
            for one in found
            if isinstance(one, dict)
        ]

    @functions.signature({"types": []})
    def _func_pinned(self, version: Any) -> bool:
        """Whether a version constraint names one version, or one series with ~>."""
        return isinstance(version, str) and bool(_PINNED.match(version))

    @functions.signature({"types": []})
    def _func_all_pinned(self, providers: Any) -> bool:
        """Whether every provider that is required is pinned."""
        found = list(providers.values()) if isinstance(providers, dict) else []
        return bool(found) and all(isinstance(one, dict) and self._func_pinned(one.get("version")) for one in found)

    @functions.signature({"types": []})
    def _func_literal_secret(self, value: Any) -> bool:
        """Whether a secret is written down somewhere in it."""
        return _secret(value, "")


def compiled(condition: str) -> Any:
    """A condition that can be asked. Raises ValueError when it is none."""
    return jmespath.compile(condition)


def ask(expression: Any, values: dict[str, Any]) -> bool:
    """Whether a condition holds; what JMESPath takes for false (null, '', [], {}) does not."""
    return bool(expression.search(values, options=jmespath.Options(custom_functions=Words())))


def fields(node: dict[str, Any]) -> set[str]:
    """Every attribute that a condition looks at, at any depth."""
    own = {node["value"]} if node.get("type") == "field" else set()
    return own.union(*(fields(child) for child in node.get("children", []) if isinstance(child, dict)))


def unknown(value: Any, looked_at: set[str], inside: bool = False) -> bool:
    """Whether one of the attributes looked at has something in it that is not known yet.

    Of what lies inside an attribute that is looked at, only the attributes that are named count, where any is.
    """
    if isinstance(value, dict):
        named = [key for key in value if key in looked_at]
        keys = named or (list(value) if inside else [])
        deeper = [] if inside else [key for key in value if key not in named]
        return any(unknown(value[key], looked_at, True) for key in keys) or any(
            unknown(value[key], looked_at) for key in deeper if isinstance(value[key], (dict, list))
        )
    if isinstance(value, list):
        return any(unknown(one, looked_at, inside) for one in value)
    return inside and isinstance(value, str) and (value == UNKNOWN or "${" in value)


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _network(text: Any) -> Any:
    try:
        return ipaddress.ip_network(text, strict=False)
    except (TypeError, ValueError):
        return None


def _open(text: Any) -> bool:
    network = _network(text)
    return network is not None and network.prefixlen < WIDEST


def _secret(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return any(_secret(one, str(key)) for key, one in value.items())
    if isinstance(value, list):
        return any(_secret(one, name) for one in value)
    if not isinstance(value, str) or "${" in value or value in ("", SENSITIVE, UNKNOWN):
        return False
    return telling(name) or bool(_KEYS.search(value))
