"""What others need of the applied infrastructure: its outputs, a kubeconfig, a key."""

from __future__ import annotations

import json as json_format

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(
    auto_shortflags=False,
    help={"env": words.ENV, "name": "print the value of one output and nothing else", "json": "print one JSON object"},
)
def outputs(c: Context, env: str = "local", name: str = "", json: bool = False) -> None:
    """Show what the applied infrastructure says about itself.

    Usage: ./inv infra.outputs --env staging --name cluster_name
    """
    from tasks.lib import settings, terminal
    from tasks.lib.infra import place, state, terraform

    here = place.describe(c, settings.load(env))
    with terraform.ready(c, here) as ready:
        if name:
            terminal.raw(state.output(ready, name))
            return
        found = state.outputs(ready)
    if json:
        shown = {key: state.HIDDEN if value.sensitive else value.value for key, value in found.items()}
        terminal.raw(json_format.dumps(shown, indent=1))
    elif found:
        terminal.table("", ("output", "value"), [(key, value.shown) for key, value in found.items()])
    else:
        terminal.say(f"{env} has no outputs; apply it first: ./inv infra.plan --env {env}")


@task(
    auto_shortflags=False,
    help={"env": words.ENV, "file": "where to write it (default: .slipway/infra/ENV/kubeconfig)"},
)
def kubeconfig(c: Context, env: str = "local", file: str = "") -> None:
    """Write a kubeconfig for the environment's EKS cluster.

    It holds no token: kubectl asks for one each time.

    Usage: ./inv infra.kubeconfig --env staging
    """
    from pathlib import Path

    from tasks.lib import settings, terminal
    from tasks.lib.aws import eks
    from tasks.lib.infra import place, state, terraform

    here = place.describe(c, settings.load(env))
    with terraform.ready(c, here) as ready:
        cluster = state.output(ready, "cluster_name")
        infra = ready.place.infra
    written = eks.kubeconfig(infra, cluster, Path(file) if file else here.work / "kubeconfig", context=env)
    terminal.good(f"export KUBECONFIG={written}")


@task(
    name="ssh-key",
    auto_shortflags=False,
    help={"env": words.ENV, "file": "the private half (default: ~/.ssh/slipway-ENV)"},
)
def ssh_key(c: Context, env: str = "local", file: str = "") -> None:
    """Make an SSH key pair here; print only the public half.

    Nobody needs one: the bastion is reached through Session Manager. No private key is ever in a state.

    Usage: ./inv infra.ssh-key --env staging
    """
    from pathlib import Path

    from tasks.lib import settings, terminal
    from tasks.lib.infra import ssh_key as keys

    environment = settings.load(env)
    private = Path(file).expanduser() if file else keys.default(env)
    public, new = keys.make(private, f"slipway-{env}")
    terminal.good(f"{'made' if new else 'kept'} {private}; for {environment.infra.variables_file(env)}:")
    terminal.raw(f'ssh_public_key = "{public}"')
