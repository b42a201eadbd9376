"""What Terraform says in its -json output, line by line, and what of it an operator needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.lib.errors import Code, Stop
from tasks.lib.runner import redact

LOCK_ID = re.compile(r"\bID:\s+([0-9a-f-]{36})")
LOCK_WHO = re.compile(r"Who:\s+(\S+)")
LOCK_CREATED = re.compile(r"Created:\s+(\S+ \S+)")
NO_BUCKET = re.compile(r"NoSuchBucket|bucket does not exist")
STALE = "Saved plan is stale"
LOCKED = "Error acquiring the state lock"
PROTECTED = "Instance cannot be destroyed"
# How the summaries begin that say the files or variables are wrong, not the world.
CONFIGURATION = (
    "Invalid",
    "Unsupported",
    "Reference to undeclared",
    "Missing required",
    "No value for required variable",
    "Value for undeclared variable",
    "Argument or block definition",
    "Unclosed",
    "Error in function call",
    "Duplicate",
)
DETAIL = 300  # characters of a detail that fit a sentence


class Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Diagnostic(Loose):
    """One error or warning."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""


class Resource(Loose):
    addr: str = ""


class Hook(Loose):
    """Something that happens to one resource; id_value: the name that AWS gave it."""

    resource: Resource = Resource()
    action: str = ""
    id_key: str = ""
    id_value: str = ""


class Changes(Loose):
    add: int = 0
    change: int = 0
    remove: int = 0
    operation: str = ""


class Line(Loose):
    """One line of output; what it does not know stays empty."""

    type: str = ""
    message: str = Field("", alias="@message")
    diagnostic: Diagnostic | None = None
    hook: Hook | None = None
    changes: Changes | None = None


def read(text: str) -> Iterator[Line]:
    """The lines that are JSON; a half-written last one is left out."""
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                yield Line.model_validate_json(line)
            except ValidationError:
                continue


def errors(lines: Iterable[Line]) -> list[Diagnostic]:
    """All errors, each once."""
    found = [line.diagnostic for line in lines if line.diagnostic and line.diagnostic.severity == "error"]
    return list({(one.summary, one.detail, one.address): one for one in found}.values())


def stop(step: str, found: list[Diagnostic], env: str, otherwise: str = "") -> Stop:
    """The sentence for what Terraform complained about. otherwise: what it printed when it had no diagnostics."""
    from tasks.lib.aws import errors as aws_errors

    text = "\n".join(f"{one.summary}\n{one.detail}" for one in found) or otherwise
    plan = f"./inv infra.plan --env {env}"
    if LOCKED in text and LOCK_ID.search(text):
        return Stop(f"{step}: {locked(text)}", Code.COULD_NOT_RUN, f"wait, or ./inv infra.unlock --env {env}")
    if NO_BUCKET.search(text) and not any(one.address for one in found):  # else a bucket of the root
        bootstrap = f"./inv infra.bootstrap --env {env}"
        return Stop(f"{step}: the state bucket of {env} is not there", Code.COULD_NOT_RUN, bootstrap)
    if STALE in text:
        return Stop(f"{step}: the state has changed since this plan was made", Code.REFUSED, plan)
    if PROTECTED in text:
        names = ", ".join(re.findall(r"Resource (\S+) has", text)) or "a resource"
        return Stop(f"{step}: {names} must not be destroyed (prevent_destroy)", Code.REFUSED, "docs/infrastructure.md")
    first = found[0] if found else Diagnostic(severity="error", summary=text.strip()[-DETAIL:] or "no output")
    at = f" ({first.address})" if first.address else ""
    # Of the first error only: the others may have other causes, and the words of one must not explain another.
    if (known := aws_errors.from_text(step + at, f"{first.summary}\n{first.detail}" if found else text)) is not None:
        return known
    detail = " ".join(first.detail.split())[:DETAIL]
    sentence = redact(f"{step}: {first.summary}{at}{f': {detail}' if detail else ''}")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    code = Code.USAGE if first.summary.startswith(CONFIGURATION) else Code.COULD_NOT_RUN
    return Stop(sentence + more, code, plan if code == Code.COULD_NOT_RUN else "")


def locked(text: str) -> str:
    """Who holds the state, since when, under which id."""
    who, since, name = (found.group(1) if (found := rule.search(text)) else "?" for rule in _LOCK)
    return f"the state is locked by {who} since {since} (lock {name})"


_LOCK = (LOCK_WHO, LOCK_CREATED, LOCK_ID)
