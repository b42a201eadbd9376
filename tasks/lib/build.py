"""Which commit is worked on, and the way from it to a release record: build, scan the image, SBOM, verdict, record."""

from __future__ import annotations

import hashlib
import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from invoke.context import Context

from tasks.lib import ci, gates, git, image, paths, record, target
from tasks.lib.errors import Code, Stop
from tasks.lib.record import REQUIRED_GATES, BuildInputs, GateEntry, Predicate, Record
from tasks.lib.runner import run
from tasks.lib.settings import SERVICE, Environment

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
    folder = paths.release(sha)
    path = folder / record.FILE
    path.unlink(missing_ok=True)
    engine = target.engine(c, env)
    built = image.build(c, engine, sha)
    seen = gates.image(c, env, sha, image.archive(sha)).subject
    if seen and seen != built.image_id:
        raise Stop(
            f"the gate scanned image {seen[7:19]}, but {built.image_id[7:19]} was built",
            Code.COULD_NOT_RUN,
            "./inv build",
        )
    sbom = folder / "sbom.cdx.json"
    gates.sbom(c, image.archive(sha), sbom)
    verdict = gates.verdict(c, env, sha, REQUIRED_GATES)
    made = _record(c, sha, built, sbom, verdict)
    half = path.with_suffix(".part")
    half.write_text(made.text(), encoding="utf-8")
    half.replace(path)
    _forget_old_archives()
    return made


KEPT_ARCHIVES = 5


def _forget_old_archives() -> None:
    """Image archives are large and can be built again: only those of the newest builds stay."""
    found = sorted((paths.work() / "releases").glob("*/image.tar"), key=os.path.getmtime, reverse=True)
    for old in found[KEPT_ARCHIVES:]:
        old.unlink(missing_ok=True)


def _record(c: Context, sha: str, built: image.Built, sbom: Path, verdict: gates.Verdict) -> Record:
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
            gates=[_entry(sha, gate) for gate in verdict.gates],
            by=ci.actor(git.person(c)),
            pipeline=ci.pipeline(),
            built=datetime.now(timezone.utc),
        )
    )


def _entry(sha: str, gate: gates.GateVerdict) -> GateEntry:
    report = gate.report
    if report is None or report.ended is None:
        raise Stop(f"the report of gate {gate.gate} is missing", Code.COULD_NOT_RUN, "./inv scan")
    database = report.database
    return GateEntry(
        name=gate.gate,
        outcome=gate.outcome.value,
        tool=report.tool,
        version=report.version,
        database_source=database.source if database else "",
        database_date=database.date.isoformat() if database else "",
        counts=report.counts,
        canary=f"{len(report.canary.caught)} of {len(report.canary.planted)} caught",
        waivers=gate.waived,
        report_sha256=_sha256(gates.report_path(sha, gate.gate)),
        started=report.started.isoformat(),
        ended=report.ended.isoformat(),
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
