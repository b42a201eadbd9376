"""What the registry is asked and given, through crane: it knows every login that Docker knows."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from invoke.context import Context

from tasks.lib import ci, paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import run

QUERY_SECONDS = 30.0
TRANSFER_SECONDS = 300.0
ABSENT = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND", "404")
RECORD_FILE = "record.json"


def docker_config() -> Path:
    """The folder with Docker's logins: the user's own, or one made of the logins that the pipeline has."""
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    login = ci.registry_login()
    if not login or (own / "config.json").exists():
        return own
    made = paths.work() / "docker"
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = made / "config.json"
    file.touch(mode=0o600)
    file.write_text(login, encoding="utf-8")
    return made


def _login() -> dict[str, str]:
    return {"DOCKER_CONFIG": str(docker_config())}


def digest(c: Context, reference: str) -> str:
    """The manifest digest of a reference, or '' when the registry has none. Raises Stop (4) when it does not answer."""
    argv = [tools.path(c, "crane"), "digest", reference]
    result = run(c, argv, step="ask the registry", timeout=QUERY_SECONDS, env=_login(), ok=(0, 1), quiet=True)
    if result.exited == 0:
        return result.stdout.strip()
    if any(word in result.stderr for word in ABSENT):
        return ""
    host = reference.split("/", 1)[0]
    raise Stop(
        f"ask the registry {host} for {reference.rsplit('/', 1)[-1]}: {' '.join(result.stderr.split())[-200:]}",
        Code.COULD_NOT_RUN,
        "./inv doctor",
    )


def tag(c: Context, reference: str, name: str) -> None:
    """Gives an image that the registry has another tag."""
    argv = [tools.path(c, "crane"), "tag", reference, name]
    run(c, argv, step=f"tag {name}", timeout=QUERY_SECONDS, env=_login())


def commits(c: Context, repository: str) -> list[str]:
    """Full SHAs that the repository has an image of; [] when the repository is not there yet."""
    argv = [tools.path(c, "crane"), "ls", repository]
    result = run(c, argv, step="list the registry", timeout=QUERY_SECONDS, env=_login(), ok=(0, 1), quiet=True)
    return [name for name in result.stdout.split() if len(name) == 40] if result.exited == 0 else []


def _record_tag(repository: str, image_digest: str) -> str:
    return f"{repository}:{image_digest.replace(':', '-')}.record"


def put_record(c: Context, repository: str, image_digest: str, text: str, scratch: Path) -> None:
    """Attaches the release record to an image digest; it then goes wherever the repository is copied."""
    layer = scratch / "record.tar"
    with tarfile.open(layer, "w") as tar:
        entry = tarfile.TarInfo(RECORD_FILE)
        entry.size = len(text.encode())
        tar.addfile(entry, io.BytesIO(text.encode()))
    argv = [tools.path(c, "crane"), "append", "--oci-empty-base", "--new_layer", layer]
    argv += ["--new_tag", _record_tag(repository, image_digest)]
    run(c, argv, step="attach the release record", timeout=TRANSFER_SECONDS, env=_login())
    layer.unlink()


def get_record(c: Context, repository: str, image_digest: str, scratch: Path) -> str:
    """The text of the record attached to an image digest, or '' when there is none."""
    reference = _record_tag(repository, image_digest)
    if not digest(c, reference):
        return ""
    layer = scratch / "record.fetched.tar"
    argv = [tools.path(c, "crane"), "export", reference, layer]
    run(c, argv, step="read the release record", timeout=TRANSFER_SECONDS, env=_login(), quiet=True)
    try:
        with tarfile.open(layer) as tar:
            member = tar.extractfile(RECORD_FILE)
            return member.read().decode() if member else ""
    except (tarfile.TarError, KeyError, UnicodeDecodeError):
        return ""
    finally:
        layer.unlink(missing_ok=True)
