"""Loads the lab's image archives into its engines."""

from __future__ import annotations

import contextlib
from pathlib import Path

from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.lab.images import Archive
from tasks.lib.lab.layout import Home
from tasks.lib.runner import run


def into_docker(home: Home, one: Archive) -> None:
    """Loads the archive into the lab's Docker engine unless it has its images."""
    import docker
    from docker.errors import DockerException, ImageNotFound
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    client = docker.DockerClient(f"unix://{home.docker_socket}", timeout=300)
    try:
        with contextlib.suppress(ImageNotFound):
            if all(client.images.get(name).id == wanted for name, wanted in one.ids.items()):
                return
        with one.path.open("rb") as handle:
            client.images.load(handle)
    except (DockerException, RequestException, HTTPError) as error:
        text = f"lab: the Docker engine did not take {one.path.name}: {str(error)[:200]}"
        raise Stop(text, Code.COULD_NOT_RUN, "./inv lab.up; if that says the same, ./inv lab.down lab.up") from error
    finally:
        client.close()


def into_cluster(c: Context, home: Home, ctr: Path, one: Archive) -> None:
    """Loads the archive into the cluster's containerd unless it has its images."""
    base: list[str | Path] = [ctr, "--address", home.containerd_socket, "--namespace", "k8s.io", "images"]
    step = "load the cluster's images"
    there = set(run(c, [*base, "list", "--quiet"], step=step, timeout=60, quiet=True).stdout.split())
    if not set(one.ids) <= there:
        run(c, [*base, "import", one.path], step=step, timeout=300, quiet=True)
