"""The base image is named by digest wherever a registry can be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.lib import base_image
from tests.lib.shop import Shop, shared, shop
from tests.lib.signed import SHA

__all__ = ["shared", "shop"]


def dockerfile(folder: Path, base: str) -> Path:
    path = folder / "Dockerfile"
    path.write_text(f"# says nothing\nARG BASE_IMAGE={base}\nARG BUILDER_IMAGE=${{BASE_IMAGE}}\nFROM ${{BASE_IMAGE}}\n")
    return path


@pytest.mark.slow
def test_a_tag_becomes_a_digest(shop: Shop, tmp_path: Path) -> None:
    name = f"{shop.here.repository}:{SHA}"
    found = base_image.pinned(shop.c, "", dockerfile(tmp_path, name))
    assert found == f"{name}@{shop.release.digest}"
    assert base_image.pinned(shop.c, "", dockerfile(tmp_path, found)) == found


def test_what_the_engine_offers_comes_first(shop: Shop, tmp_path: Path) -> None:
    assert base_image.pinned(shop.c, "slipway-base:bookworm", dockerfile(tmp_path, "a:1")) == "slipway-base:bookworm"


@pytest.mark.parametrize("base", ["127.0.0.1:9/python:3", "{repository}:none"])
def test_no_answer_keeps_the_dockerfiles_own_and_says_so(
    shop: Shop, tmp_path: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = dockerfile(tmp_path, base.format(repository=shop.here.repository))
    assert base_image.pinned(shop.c, "", file) == ""
    assert "the record names the base image without one" in " ".join(capsys.readouterr().out.split())
