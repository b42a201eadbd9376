"""From a record to a registry and back: what may be pushed, and what may be deployed."""

from __future__ import annotations

from invoke.context import Context

from tasks.lib import image, paths, record, registry, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.record import Record
from tasks.lib.target import Engine, Target
from tasks.lib.values import NOTHING, Release


def push(c: Context, target: Target, engine: Engine, sha: str) -> Release:
    """Pushes a commit's image and record when its gates passed; returns what can be deployed.

    Raises Stop (5) when no record allows it. Pushing again changes nothing.
    """
    folder = paths.release(sha)
    made = record.load(folder / record.FILE)
    if made is None:
        raise Stop(f"nothing was built of {sha[:12]} whose gates passed", Code.REFUSED, "./inv scan build")
    record.check(made, sha, "", dirty_ok=target.env.allow_dirty)
    image.ensure_loaded(engine, sha, made.predicate.image_id)
    pushed = image.push(engine, sha, target.repository)
    there = registry.digest(c, f"{target.repository}:{sha}")
    if not there or (pushed and pushed != there):
        raise Stop(
            f"the registry answers {there or 'nothing'} for {sha[:12]}, but {pushed} was pushed",
            Code.COULD_NOT_RUN,
            "./inv push",
        )
    finished = made.about(target.repository, there)
    registry.put_record(c, target.repository, there, finished.text(), folder)
    return _release(target, sha, there)


def _release(target: Target, sha: str, digest: str) -> Release:
    return Release(revision=sha, repository=target.repository, tag=sha, digest=digest)


def find(c: Context, target: Target, sha: str) -> tuple[Release, Record] | None:
    """What the registry has of a commit: digest and record; None when there is no image.

    Raises Stop (5) when there is an image without a record that holds.
    """
    release = named(c, target, sha)
    return (release, fetch_record(c, target, release)) if release else None


def named(c: Context, target: Target, sha: str) -> Release:
    """The image that the registry has under a commit's tag, its record not yet looked at; NOTHING when it has none."""
    digest = registry.digest(c, f"{target.repository}:{sha}")
    return _release(target, sha, digest) if digest else NOTHING


def fetch_record(c: Context, target: Target, release: Release) -> Record:
    """The record attached to a release's digest. Raises Stop (5) when there is none or it is about something else."""
    folder = paths.release(release.revision)
    folder.mkdir(parents=True, exist_ok=True)
    text = registry.get_record(c, release.repository or target.repository, release.digest, folder)
    if not text:
        raise Stop(
            f"image {release.digest[:19]} of {release.revision[:12]} has no release record",
            Code.REFUSED,
            "./inv scan build push",
        )
    return record.parse(text, release.revision[:12])


def ready(c: Context, target: Target, engine: Engine, sha: str) -> Release:
    """The commit as something that may be deployed: pushed if need be, its record checked. Raises Stop (5)."""
    found = find(c, target, sha)
    if found is None:
        with terminal.step("Push image and record"):
            push(c, target, engine, sha)
        found = find(c, target, sha)
        if found is None:
            raise Stop(f"the registry has lost {sha[:12]} again", Code.COULD_NOT_RUN, "./inv push")
    release, attached = found
    record.check(attached, sha, release.digest, dirty_ok=target.env.allow_dirty)
    return release
