"""Row `verify`: a release checked field by field, against cosign looking at the same signature."""

from __future__ import annotations

from tasks.lib import record, registry, signing, tools
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import Stage, median, spread
from tasks.lib.runner import run
from tasks.lib.settings import Environment, LabCluster

ROUNDS = 5


def verify(stage: Stage) -> Row:
    """A release checked from its start to its exit: `./inv release.verify` against `cosign verify-attestation`."""
    user, c = stage.user, stage.c
    sha = stage.release("a")
    image = f"{user.repository}@{registry.digest(c, f'{user.repository}:{sha}')}"
    verifier = signing.verifier(c, Environment(name=user.env, cluster=LabCluster(kind="lab")))
    argv = [tools.path(c, "cosign"), "verify-attestation", *verifier.options, "--type", record.PREDICATE, image]
    words = ["release.verify", "--env", user.env, "--release", sha]
    ours, raw = [], []
    for _ in range(ROUNDS):
        ours.append(stage.timed(lambda: user.inv(*words)))
        raw.append(stage.timed(lambda: run(c, argv, step="cosign", timeout=60, quiet=True)))
    return Row(
        name="verify",
        what="signatures, gates and policy of a release",
        unit="s",
        ours=median(ours),
        raw=median(raw),
        raw_what="cosign verify-attestation of the record alone",
        limit_more=1,
        notes=[f"medians of {ROUNDS} in turn; ours {spread(ours)}; raw {spread(raw)}"],
    )
