"""The service's image: built from a commit alone."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(auto_shortflags=False, help={"env": words.ENV, "release": words.RELEASE, "dirty": words.DIRTY})
def build(c: Context, env: str = "local", release: str = "", dirty: bool = False) -> None:
    """Build the image of a commit and save its archive."""
    from tasks.lib import build, image, settings, target

    environment = settings.load(env)
    sha = build.commit_of(c, environment, release, dirty)
    image.build(c, target.engine(c, environment), sha)
