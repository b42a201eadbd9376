"""A release as the registry knows it: its signed record, for people who read it and for those who check it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from invoke.context import Context

from tasks.lib import attest, git, provenance, publish, signing, terminal, verify
from tasks.lib import target as targets
from tasks.lib.errors import Code, Stop
from tasks.lib.record import GateEntry, Record
from tasks.lib.settings import Environment
from tasks.lib.target import Target
from tasks.lib.values import SHA, Release
from tasks.lib.verify import Check

BESIDE = {"provenance": provenance.PREDICATE, "sbom": attest.SBOM}
COLUMNS = ("gate", "outcome", "tool", "database", "looked at", "planted", "findings", "waivers")


@dataclass(frozen=True)
class Seen:
    """A release whose record's signature holds."""

    target: Target
    release: Release
    record: Record
    signed_by: str


def find(c: Context, env: Environment, rev: str) -> Seen:
    """The release of a revision, or of a full SHA that this checkout need not have; default HEAD.

    Raises Stop 4 when the registry cannot be asked, 5 when it has no such image or no record whose signature holds.
    """
    target, release = _named(c, env, rev)
    return Seen(target, release, publish.fetch_record(c, target, release), signing.verifier(c, env).name)


def examine(c: Context, env: Environment, rev: str) -> tuple[Seen, list[Check]]:
    """The release and every check of it: signatures, subject, commit, gates and policy. Raises as find does."""
    target, release = _named(c, env, rev)
    verifier = signing.verifier(c, env)
    with ThreadPoolExecutor(len(BESIDE)) as pool:
        others = pool.map(lambda name: _beside(c, env, verifier, release, name), BESIDE)
        record = publish.fetch_record(c, target, release)
    signature = Check("signature", f"holds for {verifier.name}", lasting=True)
    found = [signature, *others, *verify.checks(record, env, release.revision, release.digest)]
    return Seen(target, release, record, verifier.name), found


def _named(c: Context, env: Environment, rev: str) -> tuple[Target, Release]:
    sha = rev if re.fullmatch(SHA, rev) else git.resolve(c, rev or "HEAD")
    target = targets.of(c, env, up=False)
    release = publish.named(c, target, sha)
    if not release:
        raise Stop(f"{target.repository} has no image of {sha[:12]}", Code.REFUSED, f"./inv push --env {env.name}")
    return target, release


def _beside(c: Context, env: Environment, verifier: signing.Words, release: Release, name: str) -> Check:
    """Whether a statement besides the record is there and signed."""
    try:
        where = f"{release.repository}@{release.digest}"
        there = attest.verified(c, verifier, where, BESIDE[name], verify.rebuild(env))
    except Stop as stop:
        if stop.code != Code.REFUSED:
            raise
        return Check(name, "", stop.sentence, lasting=True)
    return Check(name, "signed", "" if there else "nothing signed is attached to the image", lasting=True)


def show(seen: Seen) -> None:
    """Prints what a release is, from what it was made, by whom, and what the gates said."""
    made, inputs = seen.record.predicate, seen.record.predicate.inputs
    place = made.pipeline.get("url") or ("a pipeline" if made.pipeline else "a desk")
    rows = [
        ("commit", f"{made.commit}{f' of {made.ref}' if made.ref else ''}{', uncommitted changes' * made.dirty}"),
        ("image", seen.release.image),
        ("built", f"{made.built:%Y-%m-%d %H:%M} UTC by {made.by} at {place}"),
        ("from", f"{inputs.base_image} {inputs.base_image_id[:19]}".rstrip()),
        ("requirements", f"sha256:{inputs.requirements_sha256[:12]}"),
        ("judged for", f"{made.judged.environment}, where {', '.join(made.judged.severities)} block"),
        ("signature", f"holds for {seen.signed_by}"),
    ]
    terminal.table(f"Release {made.commit[:12]} of {made.service}", ("", ""), rows)
    terminal.table("", COLUMNS, [_cells(gate) for gate in made.gates])


def _cells(gate: GateEntry) -> tuple[str, ...]:
    database = gate.database
    day = f"{database.date:%Y-%m-%d}{' (snapshot)' if database.snapshot else ''}" if database else "-"
    looked = ", ".join(
        f"{gate.covered[name]} {name}" for name in ("commits", "packages", "files") if name in gate.covered
    )
    counts = ", ".join(f"{count} {name.lower()}" for name, count in gate.counts.items())
    waivers = ", ".join(f"{one.id} until {one.expires}" for one in gate.waivers)
    planted = f"{gate.canary.caught} of {gate.canary.planted}"
    return (gate.name, gate.outcome, f"{gate.tool} {gate.version}", day, looked, planted, counts or "none", waivers)
