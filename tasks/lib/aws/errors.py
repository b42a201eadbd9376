"""What went wrong with AWS, as one sentence: from botocore's errors, and from what Terraform and registries print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.lib.aws.causes import CAUSES, HOW
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import redact as redact_known

# Credentials in the forms in which AWS's programs and services show them.
SECRETS = (
    re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}"),
    re.compile(r"k8s-aws-v1\.[\w-]+"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.?[\w-]*"),  # a JSON Web Token
    # A secret access key; 40 hexadecimal digits are a commit.
    re.compile(r"(?<![\w/+=])(?=[\w/+]*[A-Z])(?=[\w/+]*[a-z])(?=[\w/+]*\d)[A-Za-z0-9/+]{40}(?![\w/+=])"),
    re.compile(r"[A-Za-z0-9+/=_-]{100,}"),  # a session token, a registry's password
)
NAMED = re.compile(  # NAME=value, "name": "value"
    r"(?i)((?:token|signature|credential|password|secret(?:_?access)?(?:_?key)?)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',}]+"
)
ACTION = re.compile(r"not authorized to perform:?\s+([\w-]+:\w+)", re.IGNORECASE)
OPERATION = re.compile(r"operation error ([\w ]+): (\w+)")
WHO = re.compile(r"User: (arn:\S+)")
LOCK = {name: re.compile(rf"\b{name}:\s+(\S+(?: \S+)?)") for name in ("ID", "Who", "Created")}
TOLD = 200  # characters of a message that we have no words for


def redact(text: str) -> str:
    """The text without credentials: keys, session tokens, signatures, bearer tokens, passwords of registries."""
    text = NAMED.sub(r"\1***", redact_known(text))
    for pattern in SECRETS:
        text = pattern.sub("***", text)
    return text


def stop(step: str, error: Exception) -> Stop:
    """What botocore raised, as the end of a task (4): step, cause and next command, and never a credential."""
    answer = getattr(error, "response", None) or {}
    code = str(answer.get("Error", {}).get("Code", ""))
    said = f"{code}: {answer.get('Error', {}).get('Message', '')}" if code else str(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    for name, cause in CAUSES.items():
        if code in cause.codes or names & set(cause.types) or (code and re.search(cause.says, said)):
            return _told(step, name, said, getattr(error, "operation_name", ""))
    return Stop(f"{step}: AWS says {_short(said)}", Code.COULD_NOT_RUN, HOW)


def from_text(step: str, text: str) -> Stop | None:
    """The same from what a program printed (Terraform's stderr, a registry's refusal); None when no cause is in it."""
    flat = " ".join(re.sub(r"\x1b\[[\d;]*m|[│╷╵]", " ", text).split())  # Terraform frames and wraps what it says
    for name, cause in CAUSES.items():
        if re.search(cause.says, flat):
            return _told(step, name, flat, "")
    return None


@contextmanager
def told(step: str) -> Iterator[None]:
    """What botocore raises in the block becomes a Stop (4) that names the step."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise stop(step, error) from error


def _told(step: str, name: str, said: str, operation: str) -> Stop:
    cause = CAUSES[name]
    subject = re.search(cause.says, said)
    groups = subject.groupdict() if subject else {}
    words = {
        "action": _action(said, operation),
        "who": _first(WHO, said, " by {}"),
        "lock": _first(LOCK["ID"], said, "{}").split(" ")[0] or "of unknown id",
        "holder": _first(LOCK["Who"], said, " of {}").removesuffix(" Version:") + _first(LOCK["Created"], said, ", {}"),
        "expected": _first(re.compile(r"expecting '([\w-]+)'"), said, "; it is in {}"),
        "place": _first(re.compile(r"https?://([^/\s\"']+)"), said, " at {}"),
        "subject": groups.get("subject") or "",
    }
    if name == "missing":
        words["subject"] = f": {words['subject'] or _short(said)}"
    return Stop(f"{step}: {redact(cause.sentence.format(**words))}", Code.COULD_NOT_RUN, cause.fix)


def _action(said: str, operation: str) -> str:
    """The action that is not allowed, as a policy would name it; as well as it can be told."""
    if found := ACTION.search(said):
        return f" for {found[1]}"
    if found := OPERATION.search(said):
        return f" for {found[1].lower().replace(' ', '')}:{found[2]}"
    return f" for {operation}" if operation else ""


def _first(pattern: re.Pattern[str], text: str, form: str) -> str:
    found = pattern.search(text)
    return form.format(found[1]) if found else ""


def _short(text: str) -> str:
    text = redact(" ".join(text.split()))
    return text if len(text) <= TOLD else f"{text[:TOLD]}..."
