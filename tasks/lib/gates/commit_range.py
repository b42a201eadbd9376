"""Which commits the secret scan owes: those that were not scanned before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context

from tasks.lib import ci, git, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import store
from tasks.lib.gates.models import Outcome

LAST = 50  # how many scanned commits back the newest scanned ancestor is looked for


@dataclass(frozen=True)
class Range:
    """The commits from `base` (excluded, '' for none: all history) to `head`."""

    head: str
    base: str
    base_from: str


def choose(c: Context, sha: str, repo: Path = paths.ROOT) -> Range:
    """The range to scan. Raises Stop (4) when the history that it needs is not here."""
    shallow = git.ask(c, "rev-parse", "--is-shallow-repository", repo=repo, ok=(0, 128))
    if not shallow:
        raise Stop(f"secrets: there is no Git repository in {repo.name}", Code.COULD_NOT_RUN)
    if not git.has(c, sha, repo):
        raise Stop(f"secrets: commit {sha[:12]} is not in this clone", Code.COULD_NOT_RUN, "git fetch origin")
    if shallow == "true":
        raise Stop(
            "secrets: the clone is shallow, so commits are missing that must be scanned",
            Code.COULD_NOT_RUN,
            "git fetch --unshallow   (in GitLab CI: GIT_DEPTH: 0)",
        )
    asked = ci.merge_request_base()
    if asked:
        if not git.has(c, asked, repo):
            raise Stop(
                f"secrets: the merge request's base {asked[:12]} is not in this clone",
                Code.COULD_NOT_RUN,
                "git fetch origin   (in GitLab CI: GIT_DEPTH: 0)",
            )
        base = git.ask(c, "merge-base", asked, sha, repo=repo, ok=(0, 1))
        if base and base != sha:
            return Range(sha, base, "merge request")
    for commit, source in _candidates(c, sha, repo):
        if commit and commit != sha and git.is_ancestor(c, commit, sha, repo):
            return Range(sha, commit, source)
    return Range(sha, "", "all history")


def _candidates(c: Context, sha: str, repo: Path) -> list[tuple[str, str]]:
    found = [(_last_scanned(c, sha, repo), "last scanned commit"), (ci.pushed_from(), "push")]
    branch = ci.default_branch()
    for name in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
        tip = git.ask(c, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", repo=repo, ok=(0, 1, 128))
        if tip:
            found.append((git.ask(c, "merge-base", tip, sha, repo=repo, ok=(0, 1)), f"branch {branch}"))
    return found


def _last_scanned(c: Context, sha: str, repo: Path) -> str:
    """The newest ancestor whose secrets report is a pass, '' for none."""
    kept = {path.parents[1].name for path in (paths.work() / "releases").glob("*/reports/secrets.json")} - {sha}
    if not kept:
        return ""
    ancestors = git.ask(c, "rev-list", sha, repo=repo).split()
    for commit in [commit for commit in ancestors if commit in kept][:LAST]:
        try:
            if store.read(commit, "secrets").outcome is Outcome.PASS:
                return commit
        except Stop:
            continue
    return ""
