"""Whose signed approval of a release counts, and whose does not, over a real remote with real SSH keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.lib import approvals, approving, desired
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action
from tests.lib.conftest import git
from tests.lib.stages import BOB, Stages, head, promote_at, release, ssh_key, stages

__all__ = ["stages"]


@pytest.fixture
def people(stages: Stages, tmp_path: Path) -> dict[str, Path]:
    """Key files by person; production asks for two approvals, and knows Bob, Cid and Ann, who writes the releases."""
    keys = {name: ssh_key(tmp_path, name) for name in ("ann", "bob", "cid", "eve")}
    lines = [f"{name}@example.com {keys[name][1]}\n" for name in ("ann", "bob", "cid")]
    stages.world.commit("gitops/allowed_signers", "".join(lines))
    stages.asks(approvals={"required": 2})
    return {name: private for name, (private, _) in keys.items()}


def approve(stages: Stages, minutes: float, sha: str, key: Path | None, image: str = "") -> None:
    stages.at(minutes)
    event = stages.b.event(Action.APPROVE, sha, digest=release(sha, image).digest)
    change = desired.Change(event, key=str(key) if key else "")
    desired.transact(stages.c, stages.b.target, lambda _: change, publish=sha)


def agreed(stages: Stages, sha: str, **env: str) -> approvals.Agreed:
    assert stages.b.env.promotion
    state = desired.fetch(stages.c, stages.b.target)
    return approvals.of(stages.c, state, release(sha), stages.b.env.promotion.approvals, env)


@pytest.mark.slow
def test_as_many_different_people_as_asked_for_must_sign(stages: Stages, people: dict[str, Path]) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    refused = stages.refusal(60, sha)
    assert refused.sentence == (
        f"approvals: {sha[:12]} has 0 of the 2 that production asks for; "
        "until enough people who are listed in gitops/allowed_signers have approved it"
    )
    assert refused.fix == f"./inv approve --env production --release {sha[:12]}"
    approve(stages, 61, sha, people["bob"])
    approve(stages, 62, sha, people["bob"])
    assert agreed(stages, sha).names == ["bob@example.com"]
    refused = stages.refusal(63, sha)
    assert (
        "has 1 of the 2 that production asks for (bob@example.com); since 2026-01-01 13:01:00 UTC" in refused.sentence
    )
    approve(stages, 64, sha, people["cid"])
    assert stages.refusals(65, sha) == []
    assert promote_at(stages, 66, sha).release == release(sha)


@pytest.mark.slow
def test_whose_signature_does_not_count(stages: Stages, people: dict[str, Path]) -> None:
    """The author's own, one that is not listed, none at all, and one under another image of the commit."""
    sha = head(stages)
    approve(stages, 1, sha, people["ann"])
    approve(stages, 2, sha, people["eve"])
    approve(stages, 3, sha, None)
    approve(stages, 4, sha, people["bob"], image="33333333")
    found = agreed(stages, sha)
    assert found.names == []
    assert found.others == [
        "ann@example.com is the release's author",
        f"{BOB} signed with no key of gitops/allowed_signers",
        f"{BOB} signed with no key of gitops/allowed_signers",
        f"{BOB} agreed to another image of it",
    ]


@pytest.mark.slow
def test_the_list_is_the_remotes_and_not_the_checkouts(stages: Stages, people: dict[str, Path], tmp_path: Path) -> None:
    sha = head(stages)
    approve(stages, 1, sha, people["eve"])
    key = (tmp_path / "eve.pub").read_text()
    listed = stages.world.checkout / "gitops/allowed_signers"
    listed.write_text(listed.read_text() + f"eve@example.com {key}")
    assert agreed(stages, sha).names == []
    assert agreed(stages, head(stages)).names == []


@pytest.mark.slow
def test_one_key_under_two_names_is_one_approval(stages: Stages, people: dict[str, Path], tmp_path: Path) -> None:
    key = (tmp_path / "bob.pub").read_text().strip()
    sha = stages.world.commit("gitops/allowed_signers", f"bob@example.com {key}\nrob@example.com {key}\n")
    approve(stages, 1, sha, people["bob"])
    approve(stages, 2, sha, people["bob"])
    assert agreed(stages, sha).names == ["bob@example.com"]


@pytest.mark.slow
def test_a_key_that_is_no_longer_valid_or_no_longer_listed_does_not_count(
    stages: Stages, people: dict[str, Path], tmp_path: Path
) -> None:
    key = (tmp_path / "bob.pub").read_text().strip()
    old = f'bob@example.com valid-before="20250101" {key}\n'
    sha = stages.world.commit("gitops/allowed_signers", f"bob@example.com {key}\n")
    approve(stages, 1, sha, people["bob"])
    assert agreed(stages, sha).names == ["bob@example.com"]
    for text in (old, "# nobody\n", ""):
        newer = stages.world.commit("gitops/allowed_signers", text)
        stages.note(stages.a, 2, Action.LIFT, newer)  # brings the file to the remote
        assert agreed(stages, sha).names == []


@pytest.mark.slow
def test_a_signature_under_other_words_does_not_count(stages: Stages, people: dict[str, Path]) -> None:
    """An approval of one release, its words changed to name another."""
    sha = head(stages)
    approve(stages, 1, sha, people["bob"])
    remote = stages.world.remote
    text = git(remote, "cat-file", "commit", "main")
    newer = stages.world.commit("newer")
    for old, new in ((f"Release: {sha}", f"Release: {newer}"), (release(sha).digest, release(newer).digest)):
        text = text.replace(old, new)
    forged = remote / "forged"
    forged.write_text(text + "\n")
    git(remote, "update-ref", "refs/heads/main", git(remote, "hash-object", "-t", "commit", "-w", str(forged)))
    stages.note(stages.a, 2, Action.LIFT, newer)
    found = agreed(stages, newer)
    assert (found.names, len(found.others)) == ([], 1)


def test_without_a_key_approve_says_how_to_get_one(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    with pytest.raises(Stop, match="no SSH key to sign with") as caught:
        approvals.own_key(stages.c, stages.world.checkout)
    assert caught.value.code == Code.COULD_NOT_RUN
    git(stages.world.checkout, "config", "gpg.format", "ssh")
    git(stages.world.checkout, "config", "user.signingKey", "/keys/mine.pub")
    assert approvals.own_key(stages.c, stages.world.checkout) == "/keys/mine.pub"


@pytest.mark.slow
def test_approve_signs_what_soaks_and_says_how_many_are_missing(
    stages: Stages, people: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    monkeypatch.setattr(approving.settings, "load", lambda *_: stages.a.env)
    monkeypatch.setattr(
        approving.delivery, "open_", lambda _, env, **__: stages.a if env.name == "staging" else stages.b
    )
    git(stages.world.checkout, "config", "gpg.format", "ssh")
    git(stages.world.checkout, "config", "user.signingKey", str(people["bob"]))
    approving.approve(stages.c, stages.b.env, yes=True)
    assert agreed(stages, sha).names == ["bob@example.com"]
    assert f"{sha[:12]} has 1 of 2 approvals for production" in capsys.readouterr().out
    git(stages.world.checkout, "config", "user.signingKey", str(people["eve"]))
    approving.approve(stages.c, stages.b.env, yes=True)
    assert "signed with no key of gitops/allowed_signers" in capsys.readouterr().out
    stages.asks()
    with pytest.raises(Stop, match="production asks for no approvals") as caught:
        approving.approve(stages.c, stages.b.env, yes=True)
    assert caught.value.code == Code.USAGE


JOB = {
    "GITLAB_CI": "true",
    "CI_JOB_MANUAL": "true",
    "CI_COMMIT_REF_PROTECTED": "true",
    "CI_ENVIRONMENT_NAME": "production",
    "GITLAB_USER_LOGIN": "bob",
    "GITLAB_USER_EMAIL": "bob@example.com",
}


@pytest.mark.slow
def test_who_starts_the_protected_environments_job_is_one_approval(stages: Stages) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    stages.asks(approvals={"required": 1, "gitlab": True})
    assert agreed(stages, sha, **JOB).names == ["bob@example.com"]
    for name in ("GITLAB_CI", "CI_JOB_MANUAL", "CI_COMMIT_REF_PROTECTED", "CI_ENVIRONMENT_NAME"):
        assert agreed(stages, sha, **{**JOB, name: "staging"}).names == []
    assert agreed(stages, sha, **{**JOB, "GITLAB_USER_EMAIL": "ann@example.com"}).names == []  # the author
    stages.asks(approvals={"required": 1})
    assert agreed(stages, sha, **JOB).names == []
