"""Signed statements about an image, kept beside it in the registry: attached and verified by cosign."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.runners import Result

from tasks.lib import registry, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import run, tail
from tasks.lib.signing import PASSWORD, Words

SBOM = "cyclonedx"
SECONDS = 120.0
OTHER_TYPE = "none of the attestations matched the predicate type"
NO_MATCH, END = "Error: no matching attestations:", "error during command execution"
OTHER_IMAGE = "does not match any digest in statement"
BAD_KEY = ("loading public key", "loading verifier", "PEM decoding")


def attach(c: Context, signer: Words, image: str, kind: str, predicate: Any) -> None:
    """Signs a statement about an image (name@digest) and attaches it. Raises Stop (4).

    kind: its predicate type, a URI or one of cosign's short names. cosign makes the statement, with the image as
    subject: it cannot attach one that was made before (`attest` of 3.1.3 has --statement and does not read it).
    """
    with tempfile.NamedTemporaryFile("w", prefix="slipway-", suffix=".json") as file:
        json.dump(predicate, file)
        file.flush()
        argv = [tools.path(c, "cosign"), "attest", "--yes", *signer.options, "--type", kind, "--predicate", file.name]
        env = {**registry.login(image), **signer.env}
        result = run(c, [*argv, image], step=f"sign ({kind})", timeout=SECONDS, env=env, ok=(0, 1), quiet=True)
    if result.exited == 0:
        return
    fix = f"set {PASSWORD}" if "decrypt" in result.stderr else "./inv doctor"
    raise Stop(f"sign {image[-80:]} with {signer.name}:\n{tail(result)}", Code.COULD_NOT_RUN, fix)


def verified(c: Context, verifier: Words, image: str, kind: str, fix: str) -> list[dict[str, Any]]:
    """The statements of this predicate type about an image (name@digest) whose signature holds; [] when none is there.

    fix: the next command where none holds. Raises Stop 5 when there are some and none holds, 4 when the registry or a
    key service does not answer.
    """
    argv = [tools.path(c, "cosign"), "verify-attestation", *verifier.options, "--type", kind, image]
    env = {**registry.login(image), **verifier.env}
    result = run(c, argv, step="verify the signature", timeout=SECONDS, env=env, ok=range(100), quiet=True)
    if result.exited == 0:
        return [_statement(line) for line in result.stdout.splitlines() if line.startswith("{")]
    said = result.stderr
    reason = said.partition(NO_MATCH)[2].partition(END)[0].strip()
    if OTHER_TYPE in said or (NO_MATCH in said and not reason):
        return []
    raise _refusal(result, verifier, image.rpartition("@")[2][:19], reason, fix)


def _refusal(result: Result, verifier: Words, digest: str, reason: str, fix: str) -> Stop:
    """Why nothing was verified. reason: what cosign says of the statements that are there; '' when it saw none."""
    if reason and all(OTHER_IMAGE in line for line in reason.splitlines()):
        return Stop(f"subject.digest: what is attached to image {digest} is about another image", Code.REFUSED, fix)
    if reason:
        return Stop(
            f"signature: no statement about image {digest} holds for {verifier.name}: altered, or another key signed "
            f"({reason.splitlines()[0][:200]})",
            Code.REFUSED,
            fix,
        )
    if any(words in result.stderr for words in BAD_KEY):
        return Stop(
            f"signature: {verifier.name} is no key that verifies:\n{tail(result)}", Code.REFUSED, "./inv doctor"
        )
    return Stop(f"verify the signature of image {digest}:\n{tail(result)}", Code.COULD_NOT_RUN, "./inv doctor")


def _statement(line: str) -> dict[str, Any]:
    envelope = json.loads(line)
    found: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return found


def sbom(path: Path, sha256: str) -> Any:
    """The SBOM that the record names. Raises Stop (5) when the file is another one."""
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Stop(
            f"predicate.sbom_sha256: {path.name} is not the one that the record names",
            Code.REFUSED,
            "./inv scan build",
        )
    return json.loads(data)
