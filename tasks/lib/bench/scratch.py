"""A throwaway user: a checkout of its own with its own commits, delivering to throwaway environments of the lab.

The benchmark and the lifecycle tests work as such a user, so that nobody's checkout or `local` is touched.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context
from invoke.runners import Result

from tasks.lib import build, git, locks, paths, tools
from tasks.lib.lab import Lab, find
from tasks.lib.runner import run
from tasks.lib.settings import SERVICE

INV_SECONDS = 900.0
IDENTITY = ("-c", "user.name=Scratch", "-c", "user.email=scratch@localhost", "-c", "commit.gpgsign=false")
ENVIRONMENT = {
    "cluster": {"kind": "lab"},
    "ask": False,
    "allow_dirty": True,
    "gates": {"allow_snapshot": True, "max_database_age_days": 3650, "required_coverage": ["pip"]},
    "smoke": {"attempts": 2},
}
# Values of a further environment beside the first: many at once ask for more processor time than two cores have.
SMALL = {"autoscaling": {"maxReplicas": 2}, "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}}
NOTHING = {"revision": "", "repository": "", "tag": "", "digest": ""}
Edit = str | Callable[[str], str]


@dataclass
class Scratch:
    """One throwaway checkout. env: name of its first environment; lab: where it delivers to."""

    c: Context
    folder: Path
    env: str
    lab: Lab

    @property
    def repository(self) -> str:
        return f"{self.lab.registry}/{SERVICE}"

    def command(self, *words: str) -> list[str]:
        """The argv of `./inv words` in this checkout, without making it a venv of its own."""
        return [sys.executable, str(self.folder / "front_door.py"), "--search-root", str(self.folder), *words]

    def inv(self, *words: str, ok: Collection[int] = (0,), quiet: bool = True) -> Result:
        """Runs `./inv words`; an exit code not in `ok` raises Stop with the last lines that were printed."""
        step, argv = f"./inv {words[0]}", self.command(*words)
        return run(self.c, argv, step=step, timeout=INV_SECONDS, cwd=self.folder, ok=ok, quiet=quiet)

    def git(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        """The stdout of a Git command in this checkout."""
        return git.ask(self.c, *IDENTITY, *words, repo=self.folder, step=f"git {words[0]}", ok=ok)

    def commit(self, edits: Mapping[str, Edit], message: str, onto: str = "") -> str:
        """A commit of edited files (a text, or a function of the text before); its full SHA.

        onto: the parent, checked out first; default: where the checkout is.
        """
        if onto:
            self.git("checkout", "--quiet", "--detach", onto)
        for name, edit in edits.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = edit if isinstance(edit, str) else edit(path.read_text(encoding="utf-8"))
            path.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def release(self, edits: Mapping[str, Edit], message: str, onto: str = "") -> str:
        """Such a commit, scanned and built by the real gates; its full SHA."""
        sha = self.commit(edits, message, onto)
        self.inv("scan", "--env", self.env, "--release", sha, "build", "--env", self.env, "--release", sha)
        return sha

    def kubectl(self, *words: str, ok: Collection[int] = (0,), stdin: str | None = None) -> str:
        """The stdout of kubectl on the lab."""
        argv = [tools.path(self.c, "kubectl"), f"--kubeconfig={self.lab.kubeconfig}", f"--context={self.lab.context}"]
        return run(
            self.c, [*argv, *words], step=f"kubectl {words[0]}", timeout=120, ok=ok, stdin=stdin, quiet=True
        ).stdout

    def environments(self) -> list[str]:
        """Names of the environments that this checkout made."""
        return sorted(path.name for path in (self.folder / "gitops" / "environments").glob(f"{self.env}*"))


def environment(
    name: str, settings: Mapping[str, object] = ENVIRONMENT, values: Mapping[str, object] | None = None
) -> dict[str, Edit]:
    """The files of an environment, for Scratch.commit; settings and values as in the files (JSON is YAML)."""
    folder = f"gitops/environments/{name}"
    desired = {"release": NOTHING, "values": values or {}}
    return {
        f"{folder}/environment.yaml": json.dumps(settings, indent=2) + "\n",
        f"{folder}/values.yaml": json.dumps(desired, indent=2) + "\n",
    }


@contextmanager
def scratch(
    c: Context, prefix: str, lab: Lab, values: Mapping[str, object] | None = None, **settings: object
) -> Iterator[Scratch]:
    """A checkout of the working tree as it is now, with one environment `prefix-<random>`; all of it is removed after.

    What others left that were killed is removed before. prefix: one that bench.orphans knows. values: the environment's
    own chart values. settings: of its environment.yaml, on top of ENVIRONMENT.
    """
    from tasks.lib.bench import orphans

    env = f"{prefix}-{secrets.token_hex(2)}"
    with (
        locks.exclusive(orphans.lock(lab, env), f"the checkout of {env}"),
        tempfile.TemporaryDirectory(prefix=f"slipway-{prefix}-") as place,
    ):
        folder = Path(place) / "checkout"
        git.ask(c, "clone", "--quiet", "--shared", "--no-checkout", str(paths.ROOT), str(folder))
        made = Scratch(c, folder, env, lab)
        orphans.sweep(made)
        made.git("checkout", "--quiet", "-B", "main", build.snapshot(c))
        made.commit(environment(made.env, {**ENVIRONMENT, **settings}, values), f"add environment {made.env}")
        try:
            yield made
        finally:
            if find() is not None:  # a lab that was taken down took everything with it
                remove(made)


def remove(made: Scratch) -> None:
    """Takes away what the environments left: Applications, namespaces, their files in the remote, images and tags."""
    from tasks.lib.bench import cleaning

    names = made.environments()
    if names:
        cleaning.environments(made, names)
    cleaning.images(made)
    with contextlib.suppress(OSError):
        shutil.rmtree(made.folder / ".slipway")
