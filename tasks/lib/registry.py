"""What the registry is asked, through crane: it knows every login that Docker knows, and one that is made for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from invoke.context import Context

from tasks.lib import ci, paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import run

QUERY_SECONDS = 30.0
HELPER = Path(__file__).parent / "aws" / "helper"  # a Docker configuration with a program that knows one login
ABSENT = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND", "404")


@dataclass(frozen=True)
class Login:
    """A registry's login that is made when it is needed, and is in no file."""

    host: str
    user: str
    password: str = field(repr=False)


_makers: dict[str, Callable[[], Login]] = {}


def made_by(repository: str, maker: Callable[[], Login]) -> None:
    """Says how this process logs in to a repository's registry; nothing is asked before the login is needed."""
    _makers[_host(repository)] = maker


def own_login(reference: str) -> Login | None:
    """The login that is made for this reference's registry, or None where Docker's logins are used. Raises Stop (4)."""
    maker = _makers.get(_host(reference))
    return maker() if maker else None


def _host(reference: str) -> str:
    return reference.partition("/")[0]


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


def login(reference: str) -> dict[str, str]:
    """What crane and cosign need in their environment to reach this reference's registry. Raises Stop (4)."""
    own = own_login(reference)
    if own is None:
        return {"DOCKER_CONFIG": str(docker_config())}
    found = {"DOCKER_CONFIG": str(HELPER), "PATH": f"{HELPER}{os.pathsep}{os.environ.get('PATH', '')}"}
    return found | {
        "SLIPWAY_LOGIN_HOST": own.host,
        "SLIPWAY_LOGIN_USER": own.user,
        "SLIPWAY_LOGIN_PASSWORD": own.password,
    }


def refusal(step: str, reference: str, said: str) -> Stop | None:
    """What a registry of AWS said, in words; None for any other registry, and where there are no words for it."""
    if _host(reference) not in _makers:
        return None
    from tasks.lib.aws import errors

    return errors.from_text(step, said)


def digest(c: Context, reference: str) -> str:
    """The manifest digest of a reference, or '' when the registry has none. Raises Stop (4) when it does not answer."""
    argv = [tools.path(c, "crane"), "digest", reference]
    env = login(reference)
    result = run(c, argv, step="ask the registry", timeout=QUERY_SECONDS, env=env, ok=(0, 1), quiet=True)
    if result.exited == 0:
        return result.stdout.strip()
    if any(word in result.stderr for word in ABSENT):
        return ""
    step = f"ask the registry {_host(reference)} for {reference.rsplit('/', 1)[-1]}"
    raise refusal(step, reference, result.stderr) or Stop(
        f"{step}: {' '.join(result.stderr.split())[-200:]}", Code.COULD_NOT_RUN, "./inv doctor"
    )


def tag(c: Context, reference: str, name: str) -> None:
    """Gives an image that the registry has another tag."""
    argv = [tools.path(c, "crane"), "tag", reference, name]
    run(c, argv, step=f"tag {name}", timeout=QUERY_SECONDS, env=login(reference))


def commits(c: Context, repository: str) -> list[str]:
    """Full SHAs that the repository has an image of; [] when the repository is not there yet."""
    argv = [tools.path(c, "crane"), "ls", repository]
    env = login(repository)
    result = run(c, argv, step="list the registry", timeout=QUERY_SECONDS, env=env, ok=(0, 1), quiet=True)
    return [name for name in result.stdout.split() if len(name) == 40] if result.exited == 0 else []


def has_image(c: Context, reference: str, image_id: str) -> bool:
    """Whether a reference that the registry has is this image: the digest of its configuration says so."""
    argv = [tools.path(c, "crane"), "manifest", reference]
    manifest = run(c, argv, step="ask the registry", timeout=QUERY_SECONDS, env=login(reference), quiet=True).stdout
    found: object = json.loads(manifest).get("config", {}).get("digest")
    return found == image_id
