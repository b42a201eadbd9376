"""Which key signs an environment's releases and what verifies them, as words for cosign."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from invoke.context import Context

from tasks.lib import locks, paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import run
from tasks.lib.settings import Environment, LabCluster
from tasks.lib.signing_settings import Keyless, Keys

DATA = Path(__file__).parent / "cosign"
# Neither a transparency log nor a timestamp authority: what a key of one's own needs, and what works without a network.
NO_SERVICES = ("--signing-config", str(DATA / "signing-config.json"), "--trusted-root", str(DATA / "trusted-root.json"))
TOKEN = "SIGSTORE_ID_TOKEN"  # noqa: S105 - the name of a variable
PASSWORD = "COSIGN_PASSWORD"  # noqa: S105 - the name of a variable
HOW = "docs/verify.md#make-it-yours"


@dataclass(frozen=True)
class Words:
    """What cosign is told: its options, what its environment needs besides, and what a person calls it."""

    options: tuple[str, ...]
    name: str
    env: Mapping[str, str] = field(default_factory=dict)


def signer(c: Context, env: Environment) -> Words:
    """How releases of this environment are signed. Raises Stop (4) when there is nothing to sign with."""
    if env.signing is None:
        if not isinstance(env.cluster, LabCluster):
            raise _unset(env, "sign with", Code.COULD_NOT_RUN)
        private = _lab_keys(c) / "cosign.key"
        return Words(("--key", str(private), *NO_SERVICES), "the lab's key", {PASSWORD: ""})
    if isinstance(env.signing, Keyless):
        if not os.environ.get(TOKEN):
            raise Stop(
                f"{env.name} signs with the pipeline's identity, but {TOKEN} is not set",
                Code.COULD_NOT_RUN,
                f"in the job of .gitlab-ci.yml: id_tokens: {{{TOKEN}: {{aud: sigstore}}}}",
            )
        return Words((), "the pipeline's identity")
    if not env.signing.key:
        raise Stop(
            f"{env.name} has no key to sign with, only {env.signing.public_key} to verify",
            Code.COULD_NOT_RUN,
            f"name one as signing.key in {env.folder}/environment.yaml ({HOW})",
        )
    private_key = _reference(env, "key", env.signing, Code.COULD_NOT_RUN)
    return Words(("--key", private_key, *NO_SERVICES), env.signing.key)


def verifier(c: Context, env: Environment) -> Words:
    """What proves that a release here is signed. Raises Stop (5) when there is nothing to verify with."""
    if env.signing is None:
        if not isinstance(env.cluster, LabCluster):
            raise _unset(env, "verify with", Code.REFUSED)
        return _public(str(_lab_keys(c) / "cosign.pub"), "the lab's key")
    if isinstance(env.signing, Keyless):
        who = ("--certificate-identity", env.signing.identity, "--certificate-oidc-issuer", env.signing.issuer)
        return Words(who, env.signing.identity)
    return _public(_reference(env, "public_key", env.signing, Code.REFUSED), env.signing.public_key)


def _public(reference: str, name: str) -> Words:
    """A signature of a key of one's own is in no transparency log, so none is asked."""
    return Words(("--key", reference, "--insecure-ignore-tlog=true"), name)


def _unset(env: Environment, what: str, code: Code) -> Stop:
    wanted = "signing: {kind: key, key: ..., public_key: ...} or signing: {kind: keyless, identity: ...}"
    return Stop(f"{env.name} has no key to {what}", code, f"write {wanted} into {env.folder}/environment.yaml ({HOW})")


def _reference(env: Environment, setting: str, keys: Keys, code: Code) -> str:
    """A key as cosign takes it: a URI as it is, a file by its full path. Raises Stop when the file is not there."""
    value: str = getattr(keys, setting)
    scheme, separator, rest = value.partition("://")
    if scheme == "env" and separator and not os.environ.get(rest):
        raise Stop(
            f"signing.{setting} of {env.name} is {value}, but {rest} is not set", code, f"set {rest}, or see {HOW}"
        )
    if separator:
        return value
    path = paths.ROOT / Path(value).expanduser()
    if not path.is_file():
        raise Stop(
            f"signing.{setting} of {env.name}: there is no file {value}",
            code,
            f"cosign generate-key-pair, or name another in {env.folder}/environment.yaml ({HOW})",
        )
    return str(path)


def _lab_keys(c: Context) -> Path:
    """The folder with the lab's own key pair; made when it is first asked for, gone with the lab."""
    from tasks.lib.lab import layout

    home = layout.home()
    folder = home.signing
    private, public = folder / "cosign.key", folder / "cosign.pub"
    if public.exists():
        return folder
    with locks.exclusive(paths.cache() / "locks" / f"{home.cgroup}.signing.lock", "the lab's key pair"):
        if not public.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            half = folder / f"new-{secrets.token_hex(4)}"
            # The password protects nothing here that the folder's mode does not: the lab's key signs for the lab alone.
            argv = [tools.path(c, "cosign"), "generate-key-pair", f"--output-key-prefix={half}"]
            run(c, argv, step="make the lab's key pair", timeout=60, env={PASSWORD: ""}, quiet=True)
            half.with_suffix(".key").replace(private)
            half.with_suffix(".pub").replace(public)
    return folder
