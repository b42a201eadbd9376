"""Images: the service's, and the one that pipeline jobs run in; both are built from a commit alone."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(auto_shortflags=False, help={"env": words.ENV, "release": words.RELEASE, "dirty": words.DIRTY})
def build(c: Context, env: str = "local", release: str = "", dirty: bool = False) -> None:
    """Build the image of a commit and save its archive."""
    from tasks.lib import build, settings

    environment = settings.load(env)
    build.make_image(c, environment, build.commit_of(c, environment, release, dirty))


@task(
    auto_shortflags=False,
    help={
        "env": words.ENV,
        "release": words.RELEASE,
        "dirty": words.DIRTY,
        "push": "push it beside the service's image and print the variable that names it (default: only build)",
    },
)
def toolbox(c: Context, env: str = "local", release: str = "", dirty: bool = False, push: bool = False) -> None:
    """Build the image that pipeline jobs run in.

    It holds the programs that .gitlab-ci.yml names, so that no job installs or compiles anything.
    """
    from tasks.lib import build, settings, target, terminal, toolbox_image

    environment = settings.load(env)
    sha = build.commit_of(c, environment, release, dirty)
    engine = target.engine(c, environment)
    built = toolbox_image.build(c, engine, sha)
    if not push:
        terminal.good(f"built {built}")
        terminal.say(f"  next: ./inv image.toolbox --env {env} --push")
        return
    pushed = toolbox_image.push(engine, sha, target.of(c, environment).repository)
    terminal.good("pushed; set this variable in the pipeline:")
    terminal.say(f"SLIPWAY_TOOLBOX={pushed}")


@task(
    auto_shortflags=False,
    help={
        "env": words.ENV,
        "create": "make it in ECR, or correct its rules (default: only show them)",
        "yes": words.YES,
    },
)
def repository(c: Context, env: str = "local", create: bool = False, yes: bool = False) -> None:
    """Show the repository in ECR, and what it would delete.

    Fails (3) when its lifecycle policy would delete an image that an environment runs or may be rolled back to.
    """
    from tasks.lib import settings, terminal
    from tasks.lib.aws import showing
    from tasks.lib.errors import Code, Stop

    environment = settings.load(env)
    if create:
        showing.create(environment, yes)
        return
    endangered = showing.show(c, environment)
    if endangered:
        names = ", ".join(sorted({name for _, name in endangered}))
        raise Stop(
            f"the lifecycle policy would delete {len(endangered)} images that {names} needs",
            Code.FINDINGS,
            "keep more in the policy (infra/terraform, ECR)",
        )
    terminal.good("no image that an environment needs would be deleted")
