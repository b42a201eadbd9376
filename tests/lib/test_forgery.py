"""What somebody with write access to the registry, or with another key, can try; deploy refuses and names the field."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tasks.lib import publish, registry
from tasks.lib.record import REQUIRED_GATES, WaiverEntry
from tests.lib import bundles
from tests.lib.shop import NO_ENGINE, Shop, shared, shop
from tests.lib.signed import BUILT, SHA, entry, made, push_image, with_gate

__all__ = ["shared", "shop"]


@pytest.mark.slow
def test_an_unsigned_image_is_refused(shop: Shop) -> None:
    assert shop.refuses("signature: image sha256:.* has no signed release record").fix.endswith("push --env staging")


def swap(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def without_a_gate(text: str) -> str:
    statement = json.loads(text)
    statement["predicate"]["gates"].pop()
    return json.dumps(statement)


@pytest.mark.parametrize(
    "edit",
    [swap('"dirty":false', '"dirty":true '), swap(SHA, "b" + SHA[1:]), without_a_gate],
    ids=["flag", "bit", "gate"],
)
@pytest.mark.slow
def test_a_changed_statement_is_refused(shop: Shop, edit: Callable[[str], str]) -> None:
    shop.attach(made())
    publish.ready(shop.c, shop.here, NO_ENGINE, SHA)

    def change(bundle: Any) -> None:
        envelope = bundle["dsseEnvelope"]
        envelope["payload"] = base64.b64encode(edit(base64.b64decode(envelope["payload"]).decode()).encode()).decode()

    bundles.rewrite(shop.release, change)
    shop.refuses("signature: no statement about image .* altered, or another key signed")


@pytest.mark.slow
def test_a_flipped_bit_of_the_signature_is_refused(shop: Shop) -> None:
    shop.attach(made())

    def change(bundle: Any) -> None:
        signature = bytearray(base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"]))
        signature[-1] ^= 1
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()

    bundles.rewrite(shop.release, change)
    shop.refuses("signature: no statement")


@pytest.mark.slow
def test_another_key_is_refused(shop: Shop) -> None:
    shop.attach(made(), shop.theirs)
    shop.refuses("signature: no statement .* another key signed")


@pytest.mark.slow
def test_another_images_record_is_refused(shop: Shop, tmp_path: Path) -> None:
    shop.attach(made())
    other = push_image(shop.c, f"{shop.here.repository}:other", tmp_path)
    bundles.copy(shop.release, other)
    registry.tag(shop.c, f"{shop.here.repository}:other", SHA)
    shop.refuses(r"subject\.digest: what is attached to image sha256:.* is about another image")


@pytest.mark.slow
def test_a_record_of_another_commit_is_refused(shop: Shop) -> None:
    shop.attach(made("b" * 40))
    shop.refuses(r"predicate\.commit: it is about bbbbbbbbbbbb")


@pytest.mark.slow
def test_a_signed_record_without_a_gate_is_refused(shop: Shop) -> None:
    shop.attach(made(gates=[entry(other) for other in REQUIRED_GATES if other != "deps"]))
    shop.refuses(r"predicate\.gates\.deps: the gate is missing")


@pytest.mark.slow
def test_a_waiver_that_expired_since_is_refused(shop: Shop) -> None:
    gone = WaiverEntry(id="CVE-1", package="p", expires=date(2026, 1, 9), findings={"HIGH": 1})
    shop.attach(with_gate("deps", outcome="waived", counts={"HIGH": 1}, waivers=[gone]))
    shop.refuses(r"predicate\.gates\.deps\.waivers\.CVE-1\.expires: the waiver expired on 2026-01-09")


@pytest.mark.slow
def test_a_newer_record_of_another_key_counts_for_nothing(shop: Shop) -> None:
    shop.attach(made())
    shop.attach(made(by="Mallory", built=BUILT.replace(year=2027)), shop.theirs)
    assert publish.fetch_record(shop.c, shop.here, shop.release).predicate.by == "Ann <ann@example.com>"
