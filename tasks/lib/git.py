"""What Git is asked about the checkout: named queries that return values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from invoke.context import Context
from pydantic import BaseModel

from tasks.lib.errors import Code, Stop
from tasks.lib.paths import ROOT
from tasks.lib.runner import run

QUERY_SECONDS = 60.0
# A SHA means the commit that it is a hash of: objects and parents put in their place on this machine do not count.
AS_COMMITTED = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": "/nonexistent"}


class Commit(BaseModel):
    """One commit as a person would name it."""

    sha: str
    subject: str
    author: str
    time: datetime

    @property
    def short(self) -> str:
        return self.sha[:8]

    @property
    def epoch(self) -> int:
        """Commit time in seconds since 1970, what SOURCE_DATE_EPOCH wants."""
        return int(self.time.timestamp())


def ask(c: Context, *words: str, repo: Path = ROOT, step: str = "ask Git", ok: tuple[int, ...] = (0,)) -> str:
    """The stdout of a Git query in `repo`, stripped; '' for the other accepted exit codes."""
    argv: list[str | Path] = ["git", "-C", repo, *words]
    result = run(c, argv, step=step, timeout=QUERY_SECONDS, ok=ok, env=AS_COMMITTED, quiet=True)
    return result.stdout.strip() if result.exited == 0 else ""


def resolve(c: Context, rev: str, repo: Path = ROOT) -> str:
    """The full SHA of a revision. Raises Stop (2) when it is unknown or ambiguous."""
    if not rev or rev.startswith("-"):
        raise Stop(f"'{rev}' is not a revision", Code.USAGE, "git log --oneline -10")
    sha = ask(c, "rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}", repo=repo, ok=(0, 1, 128))
    if sha:
        return sha
    candidates = ask(c, "rev-parse", f"--disambiguate={rev}", repo=repo, ok=(0, 1, 128)).split()
    if len(candidates) > 1:
        short = [found[:12] for found in candidates]
        which = f"git show --no-patch --oneline {' '.join(short)}"
        raise Stop(f"{rev} is ambiguous: {', '.join(short)}", Code.USAGE, which)
    raise Stop(f"no commit {rev} in this repository", Code.USAGE, "git log --oneline -10")


def head(c: Context, repo: Path = ROOT) -> str:
    """The full SHA of HEAD. Raises Stop (2) in a repository without commits."""
    return resolve(c, "HEAD", repo)


def commit(c: Context, sha: str, repo: Path = ROOT) -> Commit:
    """Subject, author and time of a commit."""
    line = ask(c, "show", "--no-patch", "--format=%H%x09%ct%x09%an <%ae>%x09%s", sha, repo=repo)
    full, seconds, author, subject = line.split("\t", 3)
    when = datetime.fromtimestamp(int(seconds), tz=timezone.utc)
    return Commit(sha=full, subject=subject, author=author, time=when)


def dirty(c: Context, repo: Path = ROOT) -> list[str]:
    """Paths that differ from HEAD, untracked ones included; ignored files do not count."""
    lines = ask(c, "status", "--porcelain=v1", "--untracked-files=normal", repo=repo).splitlines()
    return [line.split(maxsplit=1)[-1] for line in lines]


def is_ancestor(c: Context, older: str, newer: str, repo: Path = ROOT) -> bool:
    """Whether `older` is `newer` or one of its ancestors; False for commits that are not here."""
    words: list[str | Path] = ["git", "-C", repo, "merge-base", "--is-ancestor", older, newer]
    return (
        run(
            c, words, step="compare commits", timeout=QUERY_SECONDS, ok=(0, 1, 128), env=AS_COMMITTED, quiet=True
        ).exited
        == 0
    )


def has(c: Context, sha: str, repo: Path = ROOT) -> bool:
    """Whether the repository has this commit."""
    words: list[str | Path] = ["git", "-C", repo, "cat-file", "-e", f"{sha}^{{commit}}"]
    return run(c, words, step="look for a commit", timeout=QUERY_SECONDS, ok=(0, 1, 128), quiet=True).exited == 0


def between(c: Context, old: str, new: str, repo: Path = ROOT, limit: int = 20) -> list[str]:
    """One line per commit that `new` has and `old` has not, newest first."""
    span = f"{old}..{new}" if old else new
    return ask(c, "log", "--oneline", "--no-decorate", f"-{limit}", span, repo=repo).splitlines()


def archive(c: Context, sha: str, dest: Path, subfolder: str = "", repo: Path = ROOT, only: Sequence[str] = ()) -> Path:
    """Writes the commit's files, or those of one folder, as a tar to `dest`; never reads the working tree.

    `only` narrows to these paths.
    """
    tree = f"{sha}:{subfolder}" if subfolder else sha
    dest.parent.mkdir(parents=True, exist_ok=True)
    argv: list[str | Path] = ["git", "-C", repo, "archive", "--format=tar", f"--output={dest}", tree, *only]
    run(c, argv, step="read the commit", timeout=QUERY_SECONDS, env=AS_COMMITTED, quiet=True)
    return dest


def unpack(c: Context, sha: str, folder: Path, *only: str, subfolder: str = "", repo: Path = ROOT) -> Path:
    """Puts the commit's files, or those of one folder, into `folder`; `only` narrows to these paths."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = archive(c, sha, folder.with_name(f"{folder.name}.tar"), subfolder, repo, only)
    run(c, ["tar", "-xf", packed, "-C", folder], step="unpack the commit", timeout=QUERY_SECONDS, quiet=True)
    packed.unlink()
    return folder


def person(c: Context, repo: Path = ROOT) -> str:
    """Who Git thinks works here, as 'Name <mail>'."""
    import getpass

    name = ask(c, "config", "user.name", repo=repo, ok=(0, 1)) or getpass.getuser()
    mail = ask(c, "config", "user.email", repo=repo, ok=(0, 1)) or f"{getpass.getuser()}@localhost"
    return f"{name} <{mail}>"
