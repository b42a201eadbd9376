"""Takes away what a throwaway checkout left in the lab: Applications, namespaces, files in the remote, images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasks.lib import image, registry, tools
from tasks.lib.errors import Stop
from tasks.lib.runner import run

if TYPE_CHECKING:
    from tasks.lib.bench.scratch import Scratch

SET = ("--namespace", "argocd", "applicationset", "slipway")
NAMES = "/spec/generators/0/selector/matchExpressions/1/values"


def environments(made: Scratch, names: list[str]) -> None:
    """Removes environments: first from Git, so that nothing brings them back, then from the cluster."""
    _forget(made, names)
    _unlist(made, names)
    made.kubectl("annotate", *SET, "--overwrite", "argocd.argoproj.io/application-set-refresh=true", ok=(0, 1))
    full = [f"slipway-{name}" for name in names]
    for words in (("--namespace", "argocd", "applications"), ("namespaces",)):
        made.kubectl("delete", *words, *full, "--ignore-not-found", "--timeout=110s")


def _forget(made: Scratch, names: list[str]) -> None:
    """Removes the environments' folders from the remote, against other writers."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    def attempt() -> None:
        made.git("fetch", "--quiet", made.lab.git_url, "main")
        folders = [f"gitops/environments/{name}" for name in names]
        if not made.git("ls-tree", "FETCH_HEAD", *folders):
            return
        made.git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        made.git("rm", "-r", "--quiet", "--ignore-unmatch", *folders)
        made.git("commit", "--quiet", "--message", f"remove {', '.join(names)} [skip ci]")
        made.git("push", "--quiet", made.lab.git_url, "HEAD:refs/heads/main")

    Retrying(
        stop=stop_after_attempt(8),
        wait=wait_random_exponential(max=2),
        retry=retry_if_exception_type(Stop),
        reraise=True,
    )(attempt)


def _unlist(made: Scratch, gone: list[str]) -> None:
    """Takes the names out of the ApplicationSet; the next install sees that the stamp no longer fits and is content."""
    text = made.kubectl("get", *SET, "--ignore-not-found", "--output=json")
    if not text:
        return
    names: list[str] = json.loads(text)["spec"]["generators"][0]["selector"]["matchExpressions"][1]["values"]
    kept = [name for name in names if name not in gone]
    if kept == names:
        return
    patch = [{"op": "test", "path": NAMES, "value": names}, {"op": "replace", "path": NAMES, "value": kept}]
    made.kubectl("patch", *SET, "--type=json", f"--patch={json.dumps(patch)}")


def images(made: Scratch) -> None:
    """Removes the images of the checkout's own commits from engine and registry; layers are shared and stay."""
    from docker.errors import APIError

    from tasks.lib.target import Engine

    shas = sorted(path.name for path in (made.folder / ".slipway" / "releases").glob("*"))
    with image.client(Engine(made.lab.docker_host)) as docker:
        for sha in shas:
            for name in (image.reference(sha), f"{made.repository}:{sha}"):
                try:
                    docker.images.remove(name)
                except APIError:  # never built, or never pushed
                    continue
    for sha in shas:
        digest = registry.digest(made.c, f"{made.repository}:{sha}")
        if digest:
            attestations(made, digest)
            delete(made, f"{made.repository}@{digest}")


def attestations(made: Scratch, digest: str) -> None:
    """Removes what is attached to an image: the lab's registry keeps an index of that under a tag."""
    index = f"{made.repository}:{digest.replace(':', '-')}"
    if registry.digest(made.c, index):
        argv = [tools.path(made.c, "crane"), "manifest", index]
        text = run(made.c, argv, step="list what is attached", timeout=60, quiet=True).stdout
        for one in json.loads(text)["manifests"]:
            delete(made, f"{made.repository}@{one['digest']}")
        delete(made, index)


def delete(made: Scratch, reference: str) -> None:
    """Removes a manifest from the lab's registry; one that is not there is fine."""
    digest = registry.digest(made.c, reference)
    if digest:
        name = reference.partition("@")[0].rpartition(":")[0] if "@" not in reference else reference.partition("@")[0]
        argv = [tools.path(made.c, "crane"), "delete", f"{name}@{digest}"]
        run(made.c, argv, step="remove an image", timeout=60, quiet=True)
