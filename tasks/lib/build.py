"""Which commit is worked on, and the way from it to a release record: build, scan the image, SBOM, verdict, record."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from invoke.context import Context
from pydantic import AwareDatetime, BaseModel

from tasks.lib import ci, entries, gates, git, image, paths, record, target
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import store
from tasks.lib.record import BuildInputs, Judged, Predicate, Record
from tasks.lib.runner import run
from tasks.lib.settings import SERVICE, Environment

BUILT, SBOM = "built.json", "sbom.cdx.json"
DIRTY = "Slipway snapshot of uncommitted changes"


def commit_of(c: Context, env: Environment, release: str = "", dirty: bool = False) -> str:
    """The full SHA that a task works on: `release`, else HEAD, else (dirty) a snapshot of the working tree.

    Raises Stop (5) when the tree has uncommitted changes and neither is asked for: they would silently be left out.
    """
    if release:
        return git.resolve(c, release)
    changed = git.dirty(c)
    if not changed:
        return git.head(c)
    if not dirty:
        raise Stop(
            f"the working tree has {len(changed)} uncommitted changes ({', '.join(changed[:3])}) that no release holds",
            Code.REFUSED,
            "git commit, or add --dirty, or --release HEAD to leave them out",
        )
    if not env.allow_dirty:
        raise Stop(f"{env.name} takes no releases with uncommitted changes", Code.REFUSED, "git commit")
    return snapshot(c)


def snapshot(c: Context) -> str:
    """A commit of the working tree on top of HEAD, in no branch. The same files give the same SHA.

    Neither the user's index nor the working tree is touched.
    """
    head = git.commit(c, git.head(c))
    with tempfile.TemporaryDirectory(prefix="slipway-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": "slipway", f"GIT_{role}_EMAIL": "slipway@localhost"}
            env[f"GIT_{role}_DATE"] = f"{head.epoch} +0000"

        def plumb(*words: str) -> str:
            argv = ["git", "-C", str(paths.ROOT), *words]
            return run(c, argv, step="take a snapshot", timeout=60, env=env, quiet=True).stdout.strip()

        plumb("read-tree", "HEAD")
        plumb("add", "--all")
        return plumb("commit-tree", plumb("write-tree"), "-p", "HEAD", "-m", DIRTY)


def is_dirty_release(c: Context, sha: str) -> bool:
    """Whether a commit is a snapshot of uncommitted changes."""
    return git.commit(c, sha).subject == DIRTY


def build(c: Context, env: Environment, sha: str) -> Record:
    """Everything between a commit and its record. Raises Stop 3 or 4 when a gate says no; then no record is left."""
    make_image(c, env, sha)
    scan_image(c, env, sha)
    return write_record(c, env, sha)


class Made(BaseModel):
    """What image.build leaves beside the archive."""

    started: AwareDatetime
    built: image.Built


def make_image(c: Context, env: Environment, sha: str) -> Made:
    """Builds the image and keeps beside its archive what it was built from, for the job that writes the record."""
    folder = paths.release(sha)
    for outdated in (record.FILE, BUILT, SBOM):
        (folder / outdated).unlink(missing_ok=True)
    started = datetime.now(timezone.utc)
    made = Made(started=started, built=image.build(c, target.engine(c, env), sha))
    store.write_text(folder / BUILT, made.model_dump_json(indent=2) + "\n")
    _forget_old_archives()
    return made


def scan_image(c: Context, env: Environment, sha: str) -> gates.Report:
    """Scans the archive that make_image left; writes its SBOM unless the scan could not run."""
    report = gates.image(c, env, sha, image.archive(sha))
    if report.outcome is not gates.Outcome.COULD_NOT_RUN:
        gates.sbom(c, image.archive(sha), paths.release(sha) / SBOM)
    return report


def write_record(c: Context, env: Environment, sha: str) -> Record:
    """The record of what was built and scanned, by this run or by earlier jobs; nothing is built or scanned again.

    Raises Stop 3 or 4 when a gate says no or something is missing; then no record is left.
    """
    path = paths.release(sha) / record.FILE
    path.unlink(missing_ok=True)
    verdict = gates.verdict(c, env, sha, gates.GATES)
    kept = _made(sha)
    built = kept.built
    sbom = paths.release(sha) / SBOM
    seen = next((gate.report.subject for gate in verdict.gates if gate.gate == "image" and gate.report), "")
    for what, found in (("the gate scanned", seen), ("the SBOM is of", _image_of(sbom))):
        if found != built.image_id:
            raise Stop(
                f"{what} image {found[7:19] or 'nothing'}, but {built.image_id[7:19]} was built",
                Code.COULD_NOT_RUN,
                "./inv build",
            )
    made = _record(c, env, sha, kept, sbom, verdict)
    store.write_text(path, made.text())
    return made


def _made(sha: str) -> Made:
    """What make_image kept. Raises Stop (4) when it is missing or damaged."""
    path = paths.release(sha) / BUILT
    try:
        return Made.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Stop(
            f"record: {BUILT} of {sha[:12]} does not say what was built: {str(error).splitlines()[0]}",
            Code.COULD_NOT_RUN,
            "./inv build",
        ) from error


def _image_of(sbom: Path) -> str:
    """The image ID that an SBOM of Trivy names, '' when it names none."""
    try:
        described = json.loads(sbom.read_text(encoding="utf-8"))["metadata"]["component"]["properties"]
        return next((str(one["value"]) for one in described if one["name"] == "aquasecurity:trivy:ImageID"), "")
    except (OSError, ValueError, KeyError, TypeError):
        return ""


KEPT_ARCHIVES = 5


def _forget_old_archives() -> None:
    """Image archives are large and can be built again: only those of the newest builds stay."""
    found = sorted((paths.work() / "releases").glob("*/image.tar"), key=os.path.getmtime, reverse=True)
    for old in found[KEPT_ARCHIVES:]:
        old.unlink(missing_ok=True)


def _record(c: Context, env: Environment, sha: str, kept: Made, sbom: Path, verdict: gates.Verdict) -> Record:
    built = kept.built
    return Record(
        predicate=Predicate(
            service=SERVICE,
            commit=sha,
            ref=ci.pipeline().get("ref") or git.ask(c, "branch", "--show-current"),
            dirty=is_dirty_release(c, sha),
            inputs=BuildInputs(
                base_image=built.base,
                base_image_id=built.base_id,
                requirements_sha256=built.requirements_sha256,
                source_date_epoch=git.commit(c, sha).epoch,
            ),
            image_id=built.image_id,
            sbom_sha256=_sha256(sbom),
            gates=[entries.of_gate(sha, gate) for gate in verdict.gates],
            judged=Judged(environment=env.name, severities=[one.value for one in env.gates.severities]),
            by=ci.actor(git.person(c)),
            pipeline=ci.pipeline(),
            started=kept.started,
            built=datetime.now(timezone.utc),
        )
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
