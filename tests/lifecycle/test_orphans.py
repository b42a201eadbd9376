"""What a killed run left in the lab is taken away by the next one; what somebody still uses stays."""

from __future__ import annotations

import secrets

import pytest

from tasks.lib import locks
from tasks.lib.bench import orphans
from tests.lifecycle.world import World

pytestmark = pytest.mark.lab


def test_only_what_nobody_holds_is_removed(world: World) -> None:
    scratch = world.scratch
    left, used = (f"test-{secrets.token_hex(2)}" for _ in range(2))
    names = {f"slipway-{name}" for name in (left, f"{left}-next", used, f"{used}-next")}
    mine = {f"slipway-{world.env}", "slipway-testing-0000", *names}

    def there() -> set[str]:
        listing = scratch.kubectl("get", "namespaces", "--output=name")
        return {line.rpartition("/")[2] for line in listing.splitlines()} & mine

    try:
        with locks.exclusive(orphans.lock(scratch.lab, used), "the test"):
            for name in sorted(mine - there()):
                scratch.kubectl("create", "namespace", name)
            assert orphans.sweep(scratch) == [left, f"{left}-next"]
            assert there() == mine - {f"slipway-{left}", f"slipway-{left}-next"}
    finally:
        scratch.kubectl("delete", "namespaces", "slipway-testing-0000", *names, "--ignore-not-found")
