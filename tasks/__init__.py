"""The map of all commands: every collection and alias is named here and nowhere else."""

from __future__ import annotations

from invoke.collection import Collection

from tasks import requirements

ns = Collection(
    requirements=Collection.from_module(requirements),
)
