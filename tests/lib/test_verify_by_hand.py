"""docs/verify.md, line by line: its commands, run by a plain shell that has cosign and jq and nothing of Slipway."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tasks.lib import paths, publish, signing, tools
from tasks.lib.record import REQUIRED_GATES, Record
from tasks.lib.signing_settings import Keys
from tests.lib.shop import Shop, built, shared, shop
from tests.lib.signed import SHA, entry, made

__all__ = ["shared", "shop"]

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"


def lines() -> str:
    """All shell blocks of the page as one script, as a reader would paste them."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def follow(shop: Shop, folder: Path, commit: str = SHA) -> subprocess.CompletedProcess[str]:
    """Runs the page's lines in a folder, with this image, commit and key in the place of the example's."""
    keys = shop.here.env.signing
    assert isinstance(keys, Keys)
    given = {"IMAGE": f"{shop.release.repository}@{shop.release.digest}", "COMMIT": commit, "KEY": keys.public_key}
    script = lines()
    for name, value in given.items():
        script, count = re.subn(rf"^{name}=.*$", f"{name}={value}", script, flags=re.MULTILINE)
        assert count == 1
    found = ":".join(str(tools.path(shop.c, name).parent) for name in ("cosign", "jq"))
    folder.mkdir()
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": f"{found}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def signed(shop: Shop) -> Record:
    what = built(shop)
    publish.sign(shop.c, shop.here, signing.signer(shop.c, shop.here.env), shop.release, what)
    return what


@pytest.mark.slow
def test_the_page_verifies_a_release_and_reads_it(shop: Shop, signed: Record, tmp_path: Path) -> None:
    done = follow(shop, tmp_path / "desk")
    assert done.returncode == 0, done.stderr
    for name in REQUIRED_GATES:
        assert f"{name}\tpass\tt\t1\t-" in done.stdout
    assert done.stdout.count("true\n") == 3
    assert "ended on" not in done.stdout


@pytest.mark.slow
def test_the_page_refuses_another_commit(shop: Shop, signed: Record, tmp_path: Path) -> None:
    done = follow(shop, tmp_path / "desk", commit="b" * 40)
    assert done.returncode != 0
    assert "false\n" in done.stdout


@pytest.mark.slow
def test_the_page_misses_a_gate_and_names_every_one(shop: Shop, tmp_path: Path) -> None:
    shop.attach(made(gates=[entry(name) for name in REQUIRED_GATES if name != "deps"]))
    done = follow(shop, tmp_path / "desk")
    assert done.returncode != 0
    assert done.stdout == "true\nfalse\n"
    (named,) = re.findall(r"contains\((\[.*?\])\)", lines())
    assert set(json.loads(named)) == set(REQUIRED_GATES)


@pytest.mark.slow
def test_the_page_refuses_what_another_key_signed(shop: Shop, tmp_path: Path) -> None:
    shop.attach(made(), shop.theirs)
    done = follow(shop, tmp_path / "desk")
    assert done.returncode != 0
    assert "no matching attestations" in done.stderr


def test_the_lab_and_the_checkout_have_no_part_in_it() -> None:
    assert "./inv" not in lines()
    assert str(paths.ROOT) not in lines()
