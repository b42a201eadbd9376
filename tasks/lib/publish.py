"""From a record to a registry and back: what may be pushed, and what may be deployed."""

from __future__ import annotations

import json
from typing import Any

from invoke.context import Context

from tasks.lib import attest, entries, image, paths, provenance, record, registry, signing, terminal, verify
from tasks.lib.errors import Code, Stop
from tasks.lib.record import Record
from tasks.lib.target import Engine, Target
from tasks.lib.values import NOTHING, Release

SBOM_FILE = "sbom.cdx.json"


def push(c: Context, target: Target, engine: Engine, sha: str) -> tuple[Release, Record]:
    """Pushes a commit's image and signs its record, provenance and SBOM when its gates passed.

    Returns what can be deployed and the record as the registry has it, verified. Pushing again changes nothing.
    Raises Stop 5 when no record allows it, 4 when there is nothing to sign with.
    """
    made = _allowed(target, sha)
    signer = signing.signer(c, target.env)
    image.ensure_loaded(engine, sha, made.predicate.image_id)
    pushed = image.push(engine, sha, target.repository, there=_is_there(c, target, sha, made.predicate.image_id))
    there = registry.digest(c, f"{target.repository}:{sha}")
    if not there or (pushed and pushed != there):
        raise Stop(
            f"the registry answers {there or 'nothing'} for {sha[:12]}, but {pushed} was pushed",
            Code.COULD_NOT_RUN,
            "./inv push",
        )
    release = _release(target, sha, there)
    sign(c, target, signer, release, made)
    return release, fetch_record(c, target, release)


def _is_there(c: Context, target: Target, sha: str, image_id: str) -> bool:
    """Whether ECR has this image under its commit: the tag cannot be written again there, not even with the same.

    Raises Stop 4 when ECR has no such repository, 5 when the tag is another image's. Any other registry is pushed to.
    """
    settings = target.env.registry
    if settings is None or not settings.is_ecr or settings.repository != target.repository:  # the lab has its own
        return False
    from tasks.lib.aws import ecr

    ecr.let_latest_move(ecr.Place(target.env.infra, target.repository))
    name = f"{target.repository}:{sha}"
    if not registry.digest(c, name):
        return False
    if not registry.has_image(c, name, image_id):
        raise Stop(
            f"{target.repository} has another image of {sha[:12]}, and a commit's tag does not change there",
            Code.REFUSED,
            f"./inv deploy --env {target.env.name} --release {sha[:12]}, which takes the one that is there",
        )
    return True


def _allowed(target: Target, sha: str) -> Record:
    """The record that this checkout has of a commit. Raises Stop (5) unless it and its evidence hold here."""
    folder = paths.release(sha)
    made = record.load(folder / record.FILE)
    if made is None:
        raise Stop(f"nothing was built of {sha[:12]} whose gates passed", Code.REFUSED, "./inv scan build")
    verify.demand(verify.checks(made, target.env, sha, ""), sha, target.env)
    for gate in made.predicate.gates:
        if entries.digest_of(sha, gate.name) != gate.report_sha256:
            raise Stop(
                f"predicate.gates.{gate.name}.report_sha256: the report of {sha[:12]} is not the one that was judged",
                Code.REFUSED,
                f"./inv record --env {target.env.name}",
            )
    attest.sbom(folder / SBOM_FILE, made.predicate.sbom_sha256)
    return made


def sign(c: Context, target: Target, signer: signing.Words, release: Release, made: Record) -> None:
    """Attests SBOM, provenance and, last, the record to an image, unless it has this very record already.

    One after the other: a registry without the referrers API keeps them all in one index, and writers at the same time
    would lose each other's. Where the record is, the others are too.
    """
    if _is_signed(c, target, release, made):
        return
    where = f"{release.repository}@{release.digest}"
    sbom = attest.sbom(paths.release(release.revision) / SBOM_FILE, made.predicate.sbom_sha256)
    with terminal.step("Sign record, provenance and SBOM"):
        attest.attach(c, signer, where, attest.SBOM, sbom)
        attest.attach(c, signer, where, provenance.PREDICATE, provenance.predicate(made, target.git_url))
        attest.attach(c, signer, where, record.PREDICATE, _predicate(made))


def _predicate(made: Record) -> dict[str, Any]:
    return made.predicate.model_dump(mode="json", by_alias=True)


def _is_signed(c: Context, target: Target, release: Release, made: Record) -> bool:
    """Whether the image has this very record already; what does not hold counts as nothing and is signed anew."""
    try:
        found = _statements(c, target, release)
    except Stop as stop:
        if stop.code != Code.REFUSED:
            raise
        return False
    return _predicate(made) in [one.get("predicate") for one in found]


def _statements(c: Context, target: Target, release: Release) -> list[dict[str, Any]]:
    where = f"{release.repository or target.repository}@{release.digest}"
    return attest.verified(c, signing.verifier(c, target.env), where, record.PREDICATE, verify.rebuild(target.env))


def _release(target: Target, sha: str, digest: str) -> Release:
    return Release(revision=sha, repository=target.repository, tag=sha, digest=digest)


def named(c: Context, target: Target, sha: str) -> Release:
    """The image that the registry has under a commit's tag, its record not yet looked at; NOTHING when it has none."""
    digest = registry.digest(c, f"{target.repository}:{sha}")
    return _release(target, sha, digest) if digest else NOTHING


def fetch_record(c: Context, target: Target, release: Release) -> Record:
    """The record attached to a release's digest, its signature verified; what it says is not judged yet.

    Raises Stop (5) when there is none, when no signature holds, or when it cannot be read.
    """
    found = _statements(c, target, release)
    if not found:
        raise Stop(
            f"signature: image {release.digest[:19]} of {release.revision[:12]} has no signed release record",
            Code.REFUSED,
            verify.rebuild(target.env),
        )
    # The image was built and judged again: the last record counts.
    newest = max(found, key=lambda one: str(one.get("predicate", {}).get("built", "")))
    return record.parse(json.dumps(newest), release.revision[:12])


def ready(c: Context, target: Target, engine: Engine, sha: str) -> Release:
    """The commit as something that may be deployed: pushed if need be, its record verified and judged.

    Raises Stop (5) naming the field that refuses.
    """
    release = named(c, target, sha)
    if release:
        attached = fetch_record(c, target, release)
    else:
        with terminal.step("Push image and record"):
            release, attached = push(c, target, engine, sha)
    verify.demand(verify.checks(attached, target.env, sha, release.digest), sha, target.env)
    return release
