"""What is signed is found again by anybody with the registry and the public key; nothing else is pushed or signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.lib import attest, paths, provenance, publish, record, signing
from tasks.lib.errors import Code, Stop
from tasks.lib.signing_settings import Keys
from tests.lib import bundles
from tests.lib.shop import NO_ENGINE, SBOM, Shop, built, shared, shop
from tests.lib.signed import SHA, made, with_env

__all__ = ["shared", "shop"]


@pytest.mark.slow
def test_what_was_signed_is_found_with_registry_and_public_key_alone(shop: Shop) -> None:
    assert not publish.named(shop.c, shop.here, "b" * 40)
    what = built(shop)
    publish.sign(shop.c, shop.here, signing.signer(shop.c, shop.here.env), shop.release, what)

    keys = shop.here.env.signing
    assert isinstance(keys, Keys)
    elsewhere = with_env(shop.here, signing=Keys(kind="key", public_key=keys.public_key))
    (paths.release(SHA) / record.FILE).unlink()
    assert publish.ready(shop.c, elsewhere, NO_ENGINE, SHA) == shop.release
    found = publish.fetch_record(shop.c, elsewhere, shop.release)
    assert found.predicate == what.predicate
    assert found.subject[0].digest == {"sha256": shop.release.digest.partition(":")[2]}

    where = f"{shop.release.repository}@{shop.release.digest}"
    verifier = signing.verifier(shop.c, elsewhere.env)
    (said,) = attest.verified(shop.c, verifier, where, provenance.PREDICATE, "")
    assert said["predicate"]["buildDefinition"]["externalParameters"]["commit"] == SHA
    (bom,) = attest.verified(shop.c, verifier, where, attest.SBOM, "")
    assert bom["predicate"] == SBOM


@pytest.mark.slow
def test_signing_again_adds_nothing_and_a_new_record_counts_at_once(shop: Shop) -> None:
    what, signer = built(shop), signing.signer(shop.c, shop.here.env)
    for _ in range(2):
        publish.sign(shop.c, shop.here, signer, shop.release, what)
    assert len(bundles.attached(shop.release)) == 3
    later = what.model_copy(deep=True)
    later.predicate.by, later.predicate.built = "Bob", what.predicate.built.replace(year=2027)
    shop.attach(later)
    assert publish.fetch_record(shop.c, shop.here, shop.release).predicate.by == "Bob"


@pytest.mark.slow
def test_an_environment_without_keys_says_what_to_write(shop: Shop) -> None:
    shop.attach(made())
    stop = shop.refuses("staging has no key to verify with", with_env(shop.here, signing=None))
    assert "into gitops/environments/staging/environment.yaml" in stop.fix


def test_a_registry_that_is_silent_is_not_one_without_a_record(shop: Shop) -> None:
    gone = shop.release.model_copy(update={"repository": "127.0.0.1:9/team/service"})
    with pytest.raises(Stop, match="verify the signature of image sha256:") as caught:
        publish.fetch_record(shop.c, shop.here, gone)
    assert caught.value.code == Code.COULD_NOT_RUN


def pushes(shop: Shop, told: str, code: Code = Code.REFUSED) -> Stop:
    with pytest.raises(Stop, match=told) as caught:
        publish.push(shop.c, shop.here, NO_ENGINE, SHA)
    assert caught.value.code == code
    return caught.value


def test_nothing_is_pushed_without_a_record_and_its_evidence(shop: Shop) -> None:
    assert pushes(shop, "nothing was built of aaaaaaaaaaaa whose gates passed").fix == "./inv scan build"
    folder = paths.release(SHA)
    whole = built(shop)

    (folder / record.FILE).write_text(whole.model_copy(deep=True).text().replace('"deps"', '"dips"'))
    pushes(shop, r"predicate\.gates\.deps: the gate is missing")
    (folder / record.FILE).write_text(whole.text())

    (folder / "reports" / "deps.json").write_text("another")
    pushes(shop, r"predicate\.gates\.deps\.report_sha256")
    built(shop)
    (folder / publish.SBOM_FILE).write_text("{}")
    pushes(shop, r"predicate\.sbom_sha256")
    built(shop)
    shop.here = with_env(shop.here, signing=None)
    assert "write signing:" in pushes(shop, "staging has no key to sign with", Code.COULD_NOT_RUN).fix


@pytest.mark.slow
def test_a_key_that_signs_must_fit_the_one_that_verifies(shop: Shop) -> None:
    what, keys = built(shop), shop.here.env.signing
    assert isinstance(keys, Keys)
    mixed = with_env(shop.here, signing=Keys(kind="key", key=shop.theirs.key, public_key=keys.public_key))
    publish.sign(shop.c, mixed, signing.signer(shop.c, mixed.env), shop.release, what)
    shop.refuses("signature: no statement", mixed)


def test_a_wrong_password_says_which_variable(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing.PASSWORD, "not the password")
    with pytest.raises(Stop, match=r"sign .* with ") as caught:
        shop.attach(made())
    assert (caught.value.code, caught.value.fix) == (Code.COULD_NOT_RUN, "set COSIGN_PASSWORD")
    assert "not the password" not in caught.value.sentence


@pytest.mark.slow
def test_a_key_in_a_variable_signs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = shop.here.env.signing
    assert isinstance(keys, Keys)
    monkeypatch.setenv("COSIGN_PRIVATE_KEY", Path(keys.key).read_text())
    shop.attach(made(), Keys(kind="key", key="env://COSIGN_PRIVATE_KEY", public_key="unused"))
    assert publish.ready(shop.c, shop.here, NO_ENGINE, SHA) == shop.release
