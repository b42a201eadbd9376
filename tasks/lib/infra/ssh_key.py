"""A key pair for the bastion, made on this machine: the private half stays here, with permissions that ssh accepts."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.lib.errors import Code, Stop


def default(env: str) -> Path:
    """Where the private half of an environment's key is kept."""
    return Path.home() / ".ssh" / f"slipway-{env}"


def make(file: Path, comment: str) -> tuple[str, bool]:
    """The public half, and whether the pair is new; a pair that is there is kept.

    Raises Stop: refused (5) when only one half is there, or others may read the private one; could not run (4).
    """
    public = file.with_name(f"{file.name}.pub")
    if file.exists() or public.exists():
        return _kept(file, public), False
    private_text, public_text = _pair(comment)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(file, private_text, 0o600)
        _write(public, public_text.encode() + b"\n", 0o644)
    except OSError as error:
        text = f"infra.ssh-key: {file} cannot be written: {error.strerror}"
        raise Stop(text, Code.COULD_NOT_RUN, "./inv infra.ssh-key --help") from error
    return public_text, True


def _kept(file: Path, public: Path) -> str:
    if not (file.exists() and public.exists()):
        there, missing = (file, public) if file.exists() else (public, file)
        raise Stop(f"infra.ssh-key: {there} is there, but {missing} is not", Code.REFUSED, "--file another path")
    if file.stat().st_mode & 0o077:
        raise Stop(f"infra.ssh-key: others may read {file}", Code.REFUSED, f"chmod 600 {file}")
    return public.read_text(encoding="utf-8").strip()


def _pair(comment: str) -> tuple[bytes, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, f"{public.decode()} {comment}"


def _write(file: Path, data: bytes, mode: int) -> None:
    """Never readable by others, not even for a moment; never over something that is there."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as handle:
        handle.write(data)
