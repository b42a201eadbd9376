"""What the registry is asked, through crane: it knows every login that Docker knows."""

from __future__ import annotations

import os
from pathlib import Path

from invoke.context import Context

from tasks.lib import ci, paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import run

QUERY_SECONDS = 30.0
ABSENT = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND", "404")


def docker_config() -> Path:
    """The folder with Docker's logins: the user's own, or one made of the logins that the pipeline has."""
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    given = ci.registry_login()
    if not given or (own / "config.json").exists():
        return own
    made = paths.work() / "docker"
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = made / "config.json"
    file.touch(mode=0o600)
    file.write_text(given, encoding="utf-8")
    return made


def login() -> dict[str, str]:
    """What crane and cosign need in their environment to use Docker's logins."""
    return {"DOCKER_CONFIG": str(docker_config())}


def digest(c: Context, reference: str) -> str:
    """The manifest digest of a reference, or '' when the registry has none. Raises Stop (4) when it does not answer."""
    argv = [tools.path(c, "crane"), "digest", reference]
    result = run(c, argv, step="ask the registry", timeout=QUERY_SECONDS, env=login(), ok=(0, 1), quiet=True)
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
    run(c, argv, step=f"tag {name}", timeout=QUERY_SECONDS, env=login())


def commits(c: Context, repository: str) -> list[str]:
    """Full SHAs that the repository has an image of; [] when the repository is not there yet."""
    argv = [tools.path(c, "crane"), "ls", repository]
    result = run(c, argv, step="list the registry", timeout=QUERY_SECONDS, env=login(), ok=(0, 1), quiet=True)
    return [name for name in result.stdout.split() if len(name) == 40] if result.exited == 0 else []
