"""A repository that holds exactly the commits of a range, for a scanner that would leave some of them out.

TruffleHog walks `git log HEAD` by date and stops at the base. Commits of a merged branch that are older than the base,
what a merge commit itself adds, and (without a base) lines added while a file is renamed are never looked at, with exit
code 0. So the scan gets a bare repository of its own whose log is the range and nothing else.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context

from tasks.lib import git, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import store
from tasks.lib.gates.commit_range import Range
from tasks.lib.gates.git_objects import Pack
from tasks.lib.runner import run

GIT_SECONDS = 300.0
FLOOR = 100_000_000  # seconds since 1970; all commits of the range are dated after it, what is made up before it
AT_ONCE = 500  # names on one command line
NOBODY = "slipway <slipway@localhost>"
# One entry per NUL: neither a message nor a name can hold one, so no commit can pass for two.
FIELDS = "%H%n%T%n%P%n%ct%n%an <%ae>%n%cn <%ce>%n%B"
# Without rename detection a renamed file is scanned whole: --diff-filter=AM leaves renames out.
CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n[diff]\n\trenames = false\n"


@dataclass(frozen=True)
class ScanRepository:
    """A bare repository whose history is the range and a planted commit; `origin` maps its commits to the real ones.

    objects: a file that names every object of the range.
    """

    path: Path
    head: str
    base: str
    canary: str
    origin: dict[str, str]
    messages: dict[str, str]
    objects: Path

    @property
    def commits(self) -> int:
        return len(self.origin)


@dataclass(frozen=True)
class _Entry:
    """A commit of the range."""

    sha: str
    tree: str
    parents: list[str]
    time: int
    author: str
    committer: str
    message: str


def prepare(c: Context, span: Range, canary: str, dest: Path, repo: Path = paths.ROOT) -> ScanRepository:
    """Makes the scan repository in `dest`; files and trees stay in `repo`, only commits are written.

    Every commit keeps author, committer, message and tree. A merge gets the clean merge of its parents as its parent,
    so that its diff is what the merge itself brought. Parents outside the range become one chain of 1970, which Git's
    log reaches after everything else, and whose newest commit is the base to stop at. Right before it the log reaches
    a commit with the text `canary`: who sees that has walked the whole range.
    Raises Stop (4) when an object of the range is missing (a partial clone).
    """
    objects = git.ask(c, "rev-parse", "--path-format=absolute", "--git-path", "objects", repo=repo)
    store.write_text(dest / "config", CONFIG)
    store.write_text(dest / "objects/info/alternates", f"{objects}\n")
    (dest / "refs/heads").mkdir(parents=True)
    store.write_text(dest / "HEAD", "ref: refs/heads/scan\n")
    commits = _read(c, span, repo, dest / "commits")
    if not commits:
        raise Stop(f"secrets: no commits between {span.base[:12]} and {span.head[:12]}", Code.COULD_NOT_RUN)
    listed = _list_objects(c, span, repo, dest / "objects.txt")
    return _rewrite(c, commits, canary, dest, listed)


def _read(c: Context, span: Range, repo: Path, kept: Path) -> list[_Entry]:
    """The commits of the range, parents first. They go through the file `kept`: a pipe of Invoke's takes seconds."""
    words = ["git", "-C", str(repo), "-c", "i18n.logOutputEncoding=UTF-8", "log", "-z", "--topo-order", "--reverse"]
    words += ["--no-show-signature", f"--format={FIELDS}", span.head, *([f"^{span.base}"] if span.base else [])]
    line = ["sh", "-c", 'out=$1; shift; exec "$@" >"$out"', "sh", str(kept), *words]
    run(c, line, step="read the commit range", timeout=GIT_SECONDS, env=git.AS_COMMITTED, quiet=True)
    out = kept.read_bytes().decode("utf-8", "replace")
    fields = (entry.split("\n", 6) for entry in out.split("\0") if entry)
    return [_Entry(one[0], one[1], one[2].split(), int(one[3]), *one[4:]) for one in fields]


def _list_objects(c: Context, span: Range, repo: Path, dest: Path) -> Path:
    """Writes the names of all objects of the range to `dest`. Raises Stop (4) when one is missing."""
    script = 'exec git -C "$1" rev-list --objects --no-object-names --missing=print "$3" ${4:+"^$4"} >"$2"'
    words: list[str | Path] = ["sh", "-c", script, "sh", repo, dest, span.head, span.base]
    step = "check the commit range"
    done = run(c, words, step=step, timeout=GIT_SECONDS, env=git.AS_COMMITTED, quiet=True, ok=(0, 128))
    if done.exited or "?" in dest.read_text(encoding="utf-8"):
        raise Stop(
            "secrets: objects of the commit range are missing (a partial or damaged clone)",
            Code.COULD_NOT_RUN,
            "git fetch --refetch --no-filter origin",
        )
    return dest


def _rewrite(c: Context, commits: list[_Entry], canary: str, dest: Path, objects: Path) -> ScanRepository:
    trees = {entry.sha: entry.tree for entry in commits}
    outside = sorted({parent for entry in commits for parent in entry.parents if parent not in trees})
    trees |= _trees(c, outside, dest)
    pack = Pack()
    renamed: dict[str, str] = {}
    base = ""
    for second, parent in enumerate(outside):
        base = renamed[parent] = pack.commit(trees[parent], [base] if base else [], second, NOBODY, NOBODY, "base")
    merged = _clean_merges(c, [entry for entry in commits if len(entry.parents) > 1], trees, dest)
    origin: dict[str, str] = {}
    for one in commits:
        when = max(one.time, FLOOR)
        parents = [renamed[parent] for parent in one.parents]
        if one.sha in merged:
            parents = [pack.commit(merged[one.sha], parents, when, NOBODY, NOBODY, "clean merge")]
        renamed[one.sha] = pack.commit(one.tree, parents, when, one.author, one.committer, one.message)
        origin[renamed[one.sha]] = one.sha
    last = commits[-1]
    blob = pack.add("blob", canary.encode())
    tree = pack.add("tree", b"100644 canary.txt\0" + bytes.fromhex(blob))
    planted = pack.commit(tree, [], FLOOR - 1, NOBODY, NOBODY, "canary")
    top = pack.commit(last.tree, [renamed[last.sha], planted], max(last.time, FLOOR), NOBODY, NOBODY, "scan")
    pack.write(c, dest)
    store.write_text(dest / "refs/heads/scan", f"{top}\n")
    messages = {one.sha: one.message for one in commits}
    return ScanRepository(dest, top, base, planted, origin, messages, objects)


def _trees(c: Context, shas: list[str], repo: Path) -> dict[str, str]:
    """The trees of these commits."""
    found: dict[str, str] = {}
    for start in range(0, len(shas), AT_ONCE):
        part = shas[start : start + AT_ONCE]
        out = git.ask(c, "rev-parse", *(f"{sha}^{{tree}}" for sha in part), repo=repo)
        found |= dict(zip(part, out.split(), strict=True))
    return found


def _clean_merges(c: Context, merges: list[_Entry], trees: dict[str, str], dest: Path) -> dict[str, str]:
    """Per merge commit the tree that Git would have made of its parents, conflict marks included.

    Where Git is too old for that, or there are more than two parents: the first parent's tree, which shows more.
    """
    found = {one.sha: trees[one.parents[0]] for one in merges}
    pairs = [one for one in merges if len(one.parents) == 2]
    if not pairs:
        return found
    asked = dest / "merges"
    store.write_text(asked, "".join(f"{' '.join(one.parents)}\n" for one in pairs))
    # A file, because Invoke feeds standard input at a hundred characters a second.
    script = 'exec git -C "$1" merge-tree --write-tree --stdin --allow-unrelated-histories < "$2"'
    words: list[str | Path] = ["sh", "-c", script, "sh", dest, asked]
    result = run(c, words, step="merge the parents", timeout=GIT_SECONDS, ok=range(256), quiet=True)
    records = [part for part in result.stdout.split("\0") if part]
    oids = _merge_trees(records, len(pairs[0].tree))
    if result.exited == 0 and len(oids) == len(pairs):
        found.update({one.sha: oid for one, oid in zip(pairs, oids, strict=True)})
    return found


def _merge_trees(records: list[str], length: int) -> list[str]:
    """The tree ids of `git merge-tree --stdin`: each merge starts with its status, 0 or 1, then its tree."""
    oids = []
    for status, oid in itertools.pairwise(records):
        if status in ("0", "1") and len(oid) == length and set(oid) <= set("0123456789abcdef"):
            oids.append(oid)
    return oids
