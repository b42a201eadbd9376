"""What the environment variables say, read and checked once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SERVICE = "slipway-service"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class ConfigError(ValueError):
    """A variable holds what cannot be used; the message names it and what is allowed."""


@dataclass(frozen=True)
class Faults:
    """Switches for drills, all off unless an environment sets them.

    errors: share of requests to / and /api/* answered with 500, from 0 to 1. latency_ms: added to the same requests.
    """

    unready: bool = False
    unhealthy: bool = False
    errors: float = 0.0
    latency_ms: int = 0

    def active(self) -> list[str]:
        """Names of the switches that are on."""
        return [name for name, value in vars(self).items() if value]


@dataclass(frozen=True)
class Config:
    """Which release this is and how it behaves.

    revision, build_time, image_digest: "" where not known. deployed_as: the revision the deployment believes it runs.
    collector: where traces, metrics and logs are sent; "" when nowhere.
    """

    revision: str = ""
    deployed_as: str = ""
    build_time: str = ""
    image_digest: str = ""
    collector: str = ""
    faults: Faults = field(default_factory=Faults)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Config:
        """Reads SLIPWAY_* and OTEL_* variables. Raises ConfigError on a value that cannot be used."""
        deployed_as = env.get("SLIPWAY_REVISION", "").strip()
        return cls(
            # What the image was built from outranks what a chart claims it to be: /version proves arrivals.
            revision=env.get("SLIPWAY_IMAGE_REVISION", "").strip() or deployed_as,
            deployed_as=deployed_as,
            build_time=env.get("SLIPWAY_BUILD_TIME", "").strip(),
            image_digest=env.get("SLIPWAY_IMAGE_DIGEST", "").strip(),
            collector=collector(env),
            faults=Faults(
                unready=boolean(env, "SLIPWAY_FAULT_UNREADY"),
                unhealthy=boolean(env, "SLIPWAY_FAULT_UNHEALTHY"),
                errors=number(env, "SLIPWAY_FAULT_ERRORS", 0, low=0, high=1),
                latency_ms=int(number(env, "SLIPWAY_FAULT_LATENCY_MS", 0, low=0, high=60_000)),
            ),
        )


def collector(env: Mapping[str, str]) -> str:
    """The base address of the OTLP collector; "" when none is named or the SDK is disabled. Raises ConfigError."""
    endpoint = env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if boolean(env, "OTEL_SDK_DISABLED") or not endpoint:
        return ""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        raise ConfigError(f"OTEL_EXPORTER_OTLP_ENDPOINT is {endpoint!r}: use http://host:4318 or https://host")
    protocol = env.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip()
    if protocol not in ("", "http/protobuf"):
        raise ConfigError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: the image speaks http/protobuf only")
    return endpoint


def boolean(env: Mapping[str, str], name: str) -> bool:
    """The switch `name`; unset means off. Raises ConfigError."""
    text = env.get(name, "").strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ConfigError(f"{name} is {text!r}: use true or false")


def number(env: Mapping[str, str], name: str, default: float, *, low: float, high: float) -> float:
    """The number `name`, `default` when unset or empty. Raises ConfigError when it is not within low and high."""
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    # A comparison with NaN is false, so that text and "nan" end here too.
    if low <= value <= high:
        return value
    raise ConfigError(f"{name} is {text!r}: use a number from {low:g} to {high:g}")


def log_level(env: Mapping[str, str]) -> str:
    """The level of SLIPWAY_LOG_LEVEL, INFO when unset. Raises ConfigError."""
    level = env.get("SLIPWAY_LOG_LEVEL", "").strip().upper() or "INFO"
    if level in _LEVELS:
        return level
    raise ConfigError(f"SLIPWAY_LOG_LEVEL is {level!r}: use one of {', '.join(_LEVELS)}")
