"""A repository that holds exactly the commits of a range, for a scanner that would leave some of them out.

TruffleHog walks `git log HEAD` by date and stops at the base. Commits of a merged branch that are older than the base,
what a merge commit itself adds, and (without a base) lines added while a file is renamed are never looked at, with exit
code 0. So the scan gets a bare repository of its own whose log is the range and nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
import zlib
from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context

from tasks.lib import git, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import store
from tasks.lib.gates.commit_range import Range
from tasks.lib.runner import run

GIT_SECONDS = 300.0
FLOOR = 100_000_000  # seconds since 1970; all commits of the range are dated after it, what is made up before it
NOBODY = "slipway <slipway@localhost>"
FIELDS = "%H%x1f%T%x1f%P%x1f%ct%x1f%an <%ae>%x1f%cn <%ce>%x1f%B%x1e"


@dataclass(frozen=True)
class ScanRepository:
    """A bare repository whose history is the range and a planted commit; `origin` maps its commits to the real ones."""

    path: Path
    head: str
    base: str
    canary: str
    commits: int
    origin: dict[str, str]


def prepare(c: Context, span: Range, canary: str, dest: Path, repo: Path = paths.ROOT) -> ScanRepository:
    """Makes the scan repository in `dest`; files and trees stay in `repo`, only commits are written.

    Every commit keeps author, committer, message and tree. A merge gets the clean merge of its parents as its parent,
    so that its diff is what the merge itself brought. Parents outside the range become one chain of 1970, which Git's
    log reaches after everything else, and whose newest commit is the base to stop at. Right before it the log reaches
    a commit with the text `canary`: who sees that has walked the whole range.
    Raises Stop (4) when an object of the range is missing (a partial clone).
    """
    commits = _read(c, span, repo)
    if not commits:
        raise Stop(f"secrets: no commits between {span.base[:12]} and {span.head[:12]}", Code.COULD_NOT_RUN)
    _check_complete(c, span, repo)
    _ask(c, repo, "init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(dest))
    objects = git.ask(c, "rev-parse", "--path-format=absolute", "--git-path", "objects", repo=repo)
    store.write_text(dest / "objects/info/alternates", f"{objects}\n")
    # Without rename detection a renamed file is scanned whole: --diff-filter=AM leaves renames out.
    _ask(c, dest, "config", "diff.renames", "false")
    return _rewrite(c, commits, canary, dest)


def _ask(c: Context, repo: Path, *words: str) -> str:
    argv: list[str | Path] = ["git", "-C", repo, *words]
    return run(c, argv, step="prepare the secret scan", timeout=GIT_SECONDS, quiet=True).stdout.strip()


def _read(c: Context, span: Range, repo: Path) -> list[list[str]]:
    words = ["git", "-C", str(repo), "-c", "i18n.logOutputEncoding=UTF-8", "log", "--topo-order", "--reverse"]
    words += ["--no-show-signature", f"--format={FIELDS}", span.head, *([f"^{span.base}"] if span.base else [])]
    out = run(c, words, step="read the commit range", timeout=GIT_SECONDS, quiet=True).stdout
    return [entry.lstrip("\n").split("\x1f", 6) for entry in out.split("\x1e") if entry.strip()]


def _check_complete(c: Context, span: Range, repo: Path) -> None:
    words: list[str | Path] = ["git", "-C", repo, "rev-list", "--objects", "--missing=print", "--quiet", span.head]
    words += [f"^{span.base}"] if span.base else []
    out = run(c, words, step="check the commit range", timeout=GIT_SECONDS, quiet=True, ok=(0, 128))
    if out.exited or any(line.startswith("?") for line in out.stdout.splitlines()):
        raise Stop(
            "secrets: objects of the commit range are missing (a partial or damaged clone)",
            Code.COULD_NOT_RUN,
            "git fetch --refetch --no-filter origin",
        )


def _rewrite(c: Context, commits: list[list[str]], canary: str, dest: Path) -> ScanRepository:
    inside = {entry[0] for entry in commits}
    outside = sorted({parent for entry in commits for parent in entry[2].split() if parent not in inside})
    renamed: dict[str, str] = {}
    base = ""
    for second, parent in enumerate(outside):
        tree = _ask(c, dest, "rev-parse", f"{parent}^{{tree}}")
        base = renamed[parent] = _commit(dest, tree, [base] if base else [], second, NOBODY, NOBODY, "base")
    merged = _clean_merges(c, [entry for entry in commits if " " in entry[2]], dest)
    origin: dict[str, str] = {}
    for sha, tree, parents, time, author, committer, message in commits:
        when = max(int(time), FLOOR)
        new_parents = [renamed[parent] for parent in parents.split()]
        if sha in merged:
            new_parents = [_commit(dest, merged[sha], new_parents, when, NOBODY, NOBODY, "clean merge")]
        renamed[sha] = _commit(dest, tree, new_parents, when, author, committer, message)
        origin[renamed[sha]] = sha
    last = commits[-1]
    planted = _commit(dest, _canary_tree(canary, dest), [], FLOOR - 1, NOBODY, NOBODY, "canary")
    top = _commit(dest, last[1], [renamed[last[0]], planted], max(int(last[3]), FLOOR), NOBODY, NOBODY, "scan")
    store.write_text(dest / "refs/heads/scan", f"{top}\n")
    store.write_text(dest / "HEAD", "ref: refs/heads/scan\n")
    return ScanRepository(dest, top, base, planted, len(commits), origin)


def _canary_tree(canary: str, dest: Path) -> str:
    blob = _object(dest, "blob", canary.encode())
    return _object(dest, "tree", b"100644 canary.txt\0" + bytes.fromhex(blob))


def _clean_merges(c: Context, merges: list[list[str]], dest: Path) -> dict[str, str]:
    """Per merge commit the tree that Git would have made of its parents, conflict marks included.

    Where Git is too old for that, or there are more than two parents: the first parent's tree, which shows more.
    """
    trees = {
        sha: git.ask(c, "rev-parse", f"{parents.split()[0]}^{{tree}}", repo=dest) for sha, _, parents, *_ in merges
    }
    pairs = [(sha, parents.split()) for sha, _, parents, *_ in merges if len(parents.split()) == 2]
    if not pairs:
        return trees
    asked = dest / "merges"
    store.write_text(asked, "".join(f"{first} {second}\n" for _, (first, second) in pairs))
    # A file, because Invoke feeds standard input at a hundred characters a second.
    script = 'exec git -C "$1" merge-tree --write-tree --stdin --allow-unrelated-histories < "$2"'
    words: list[str | Path] = ["sh", "-c", script, "sh", dest, asked]
    result = run(c, words, step="merge the parents", timeout=GIT_SECONDS, ok=range(256), quiet=True)
    records = [part for part in result.stdout.split("\0") if part]
    oids = _merge_trees(records, len(next(iter(trees.values()))))
    if result.exited == 0 and len(oids) == len(pairs):
        trees.update({sha: oid for (sha, _), oid in zip(pairs, oids, strict=True)})
    return trees


def _merge_trees(records: list[str], length: int) -> list[str]:
    """The tree ids of `git merge-tree --stdin`: each merge starts with its status, 0 or 1, then its tree."""
    oids = []
    for status, oid in itertools.pairwise(records):
        if status in ("0", "1") and len(oid) == length and set(oid) <= set("0123456789abcdef"):
            oids.append(oid)
    return oids


def _commit(repo: Path, tree: str, parents: list[str], time: int, author: str, committer: str, message: str) -> str:
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {author} {time} +0000", f"committer {committer} {time} +0000", "", message]
    return _object(repo, "commit", "\n".join(lines).encode("utf-8", "replace"))


def _object(repo: Path, kind: str, body: bytes) -> str:
    data = f"{kind} {len(body)}\0".encode() + body
    name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    path = repo / "objects" / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(data, 1))
    return name
