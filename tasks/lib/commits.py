"""Commits in the private clone, read and made in the object store alone: no working tree, no index of the user's."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasks.lib import git, history
from tasks.lib.history import Event
from tasks.lib.runner import run


def files(c: Context, clone: Path, rev: str, folder: str = "gitops/environments") -> list[str]:
    """Paths of all files of a commit below a folder."""
    return git.ask(c, "ls-tree", "-r", "--name-only", rev, f"{folder}/", repo=clone).splitlines()


def show(c: Context, clone: Path, rev: str, name: str) -> str:
    """A file of a commit, byte for byte; '' when the commit has none."""
    argv = ["git", "-C", str(clone), "show", f"{rev}:{name}"]
    result = run(c, argv, step=f"read {name}", timeout=git.QUERY_SECONDS, ok=(0, 128), quiet=True)
    return result.stdout if result.exited == 0 else ""


def write(
    c: Context, clone: Path, base: str, edits: dict[str, str], parents: list[str], event: Event, key: str = ""
) -> str:
    """A commit of `base`'s tree with some files edited; made in the object store alone, so a kill leaves nothing.

    key: what signs it, as Git's user.signingKey for SSH; '': it is not signed.
    """
    who = {"GIT_INDEX_FILE": str(clone / ".git" / "slipway-index")}
    name, _, mail = event.by.partition(" <")
    for role in ("AUTHOR", "COMMITTER"):
        who[f"GIT_{role}_NAME"] = name or "slipway"
        who[f"GIT_{role}_EMAIL"] = mail.rstrip(">") or "slipway@localhost"

    def plumb(*words: str, stdin: str | None = None) -> str:
        argv = ["git", "-C", str(clone), "-c", "gpg.format=ssh", "-c", f"user.signingKey={key}", *words]
        return run(
            c, argv, step="commit the desired state", timeout=30, stdin=stdin, env=who, quiet=True
        ).stdout.strip()

    plumb("read-tree", base)
    for file, text in edits.items():
        blob = plumb("hash-object", "-w", "--stdin", stdin=text)
        plumb("update-index", "--add", "--cacheinfo", f"100644,{blob},{file}")
    tree = plumb("write-tree")
    links = [word for parent in parents for word in ("-p", parent)]
    sign = ["-S"] if key else []
    return plumb("commit-tree", tree, *sign, *links, stdin=history.message(event))
