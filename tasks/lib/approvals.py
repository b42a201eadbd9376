"""Who agreed to a release: commits that name it, signed with SSH keys that the branch of the desired state lists."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from invoke.context import Context

from tasks.lib import ci, commits, git, guards
from tasks.lib.desired import State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Event
from tasks.lib.promotion_settings import Approvals
from tasks.lib.values import Release

GOOD = "G"  # Git's word for a signature that holds, by a key that is listed
SSH_KEY = "SHA256:"  # how the fingerprint of an SSH key begins; one of GnuPG is judged by the keys of this machine


@dataclass(frozen=True)
class Agreed:
    """Whose approval counts, by name, and whose does not, with the reason."""

    names: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def of(c: Context, state: State, release: Release, asked: Approvals, env: Mapping[str, str] = os.environ) -> Agreed:
    """Everybody who agreed to this image in this environment, each person once."""
    author = _mail(git.commit(c, release.revision, repo=state.clone).author)
    agreed = Agreed()

    def take(name: str) -> None:
        if _mail(name) == author:
            agreed.others.append(f"{name} is the release's author")
        elif name.lower() not in map(str.lower, agreed.names):
            agreed.names.append(name)

    with _listed(c, state, asked) as listed:
        for event in reversed(state.events):
            if event.action is not Action.APPROVE or event.release != release.revision:
                continue
            if event.digest != release.digest:
                agreed.others.append(f"{event.by} agreed to another image of it")
                continue
            name = _signer(c, state, event, listed)
            if name:
                take(name)
            else:
                agreed.others.append(f"{event.by} signed with no key of {asked.signers}")
    login, mail = ci.starter(state.target.env.name, env) if asked.gitlab else ("", "")
    if login:
        take(mail or login)
    return agreed


def _mail(person: str) -> str:
    """The mail in 'Name <mail>', or the text itself; in small letters."""
    return person.rpartition("<")[2].rstrip(">").strip().lower()


@contextmanager
def _listed(c: Context, state: State, asked: Approvals) -> Iterator[str]:
    """A file with the list of signers as the remote has it: what lies in a checkout approves nothing."""
    with tempfile.NamedTemporaryFile("w", prefix="slipway-signers-", encoding="utf-8") as found:
        found.write(commits.show(c, state.clone, state.head, asked.signers))
        found.flush()
        yield found.name


def _signer(c: Context, state: State, event: Event, listed: str) -> str:
    """Who signed an event, as the list calls the key, whichever name it was signed under; '' when it does not count."""
    config = ("-c", f"gpg.ssh.allowedSignersFile={listed}", "-c", "gpg.ssh.revocationFile=")
    words = (*config, "log", "-1", "--format=%G?%x1f%GS%x1f%GF%x1f.", event.commit)
    verdict, name, key, _ = git.ask(c, *words, repo=state.clone, step="look at a signature").split("\x1f")
    return name if verdict == GOOD and key.startswith(SSH_KEY) else ""


def demand(state: State, release: Release, asked: Approvals, agreed: Agreed) -> None:
    """Raises Stop (5) that says who is still missing."""
    if len(agreed.names) >= asked.required:
        return
    env, sha = state.target.env.name, release.revision
    who = f" ({', '.join(agreed.names)})" if agreed.names else ""
    others = f"; not counted: {'; '.join(dict.fromkeys(agreed.others))}" if agreed.others else ""
    first = next((event for event in reversed(state.events) if event.release == sha), None)
    raise guards.refusal(
        "approvals",
        f"{sha[:12]} has {len(agreed.names)} of the {asked.required} that {env} asks for{who}{others}",
        f"./inv approve --env {env} --release {sha[:12]}",
        first.time if first else None,
        "enough people who are listed in " + asked.signers + " have approved it",
    )


def own_key(c: Context, repo: Path) -> str:
    """The SSH key that the user's Git signs with. Raises Stop (4) when there is none."""
    key = git.ask(c, "config", "--type=path", "user.signingKey", repo=repo, ok=(0, 1, 128))
    form = git.ask(c, "config", "gpg.format", repo=repo, ok=(0, 1))
    if not key or form != "ssh":
        raise Stop(
            "approve: your Git has no SSH key to sign with",
            Code.COULD_NOT_RUN,
            "git config gpg.format ssh && git config user.signingKey ~/.ssh/id_ed25519.pub",
        )
    return key
