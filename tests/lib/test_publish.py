"""What is signed is found again by anybody with the registry and the public key, and nothing else passes: real cosign
against Debian's registry on loopback."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from tasks.lib import attest, entries, paths, provenance, publish, record, registry, signing
from tasks.lib.errors import Code, Stop
from tasks.lib.record import REQUIRED_GATES, Record, WaiverEntry
from tasks.lib.signing_settings import Keys
from tasks.lib.target import Engine, Target
from tasks.lib.values import Release
from tests.lib import bundles
from tests.lib.conftest import World
from tests.lib.signed import (
    SHA,
    docker_registry,
    entry,
    environment,
    key_pair,
    made,
    name_of,
    push_image,
    target,
    with_env,
    with_gate,
)

NO_ENGINE = Engine(docker_host="unix:///nowhere.sock")
SBOM = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Keys, Keys]]:
    """A registry and two key pairs; only the first is the environment's."""
    context = Context()
    context.config.run.in_stream = False
    folder = tmp_path_factory.mktemp("signed")
    with docker_registry(context, folder) as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv(signing.PASSWORD, "")
        yield host, key_pair(context, folder / "ours"), key_pair(context, folder / "theirs")


@dataclass
class Shop:
    """An environment whose registry has one image, not signed yet."""

    c: Context
    here: Target
    theirs: Keys
    release: Release

    def attach(self, what: Record, keys: Keys | None = None) -> None:
        """Signs a record, whatever it says, as whoever has the key may."""
        env = self.here.env if keys is None else environment(keys)
        where = f"{self.release.repository}@{self.release.digest}"
        attest.attach(self.c, signing.signer(self.c, env), where, record.PREDICATE, publish._predicate(what))

    def refuses(self, told: str, here: Target | None = None) -> Stop:
        with pytest.raises(Stop, match=told) as caught:
            publish.ready(self.c, here or self.here, NO_ENGINE, SHA)
        assert caught.value.code == Code.REFUSED
        assert caught.value.fix
        return caught.value


@pytest.fixture
def shop(
    c: Context, world: World, shared: tuple[str, Keys, Keys], request: pytest.FixtureRequest, tmp_path: Path
) -> Shop:
    host, ours, theirs = shared
    here = target(environment(ours), f"{host}/team/{name_of(request.node.name)}")
    digest = push_image(c, f"{here.repository}:{SHA}", tmp_path)
    return Shop(c, here, theirs, Release(revision=SHA, repository=here.repository, tag=SHA, digest=digest))


def built(shop: Shop) -> Record:
    """What `./inv build` leaves behind: a record with the reports and the SBOM that it names."""
    folder = paths.release(SHA)
    (folder / "reports").mkdir(parents=True, exist_ok=True)
    (folder / publish.SBOM_FILE).write_text(json.dumps(SBOM))
    for name in REQUIRED_GATES:
        (folder / "reports" / f"{name}.json").write_text(name)
    gates = [entry(name, report_sha256=entries.digest_of(SHA, name)) for name in REQUIRED_GATES]
    what = made(gates=gates, sbom_sha256=_sha256(folder / publish.SBOM_FILE))
    (folder / record.FILE).write_text(what.text())
    return what


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


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
    (said,) = attest.verified(shop.c, verifier, where, provenance.PREDICATE)
    assert said["predicate"]["buildDefinition"]["externalParameters"]["commit"] == SHA
    (bom,) = attest.verified(shop.c, verifier, where, attest.SBOM)
    assert bom["predicate"] == SBOM


def test_signing_again_adds_nothing_and_a_new_record_counts_at_once(shop: Shop) -> None:
    what, signer = built(shop), signing.signer(shop.c, shop.here.env)
    for _ in range(2):
        publish.sign(shop.c, shop.here, signer, shop.release, what)
    assert len(bundles.attached(shop.release)) == 3
    later = what.model_copy(deep=True)
    later.predicate.by, later.predicate.built = "Bob", what.predicate.built.replace(year=2027)
    shop.attach(later)
    assert publish.fetch_record(shop.c, shop.here, shop.release).predicate.by == "Bob"


def test_an_unsigned_image_is_refused(shop: Shop) -> None:
    assert shop.refuses("signature: image sha256:.* has no signed release record").fix == "./inv scan build push"


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
def test_a_changed_statement_is_refused(shop: Shop, edit: Callable[[str], str]) -> None:
    shop.attach(made())
    publish.ready(shop.c, shop.here, NO_ENGINE, SHA)

    def change(bundle: Any) -> None:
        envelope = bundle["dsseEnvelope"]
        envelope["payload"] = base64.b64encode(edit(base64.b64decode(envelope["payload"]).decode()).encode()).decode()

    bundles.rewrite(shop.release, change)
    shop.refuses("signature: no statement about image .* altered, or another key signed")


def test_a_flipped_bit_of_the_signature_is_refused(shop: Shop) -> None:
    shop.attach(made())

    def change(bundle: Any) -> None:
        signature = bytearray(base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"]))
        signature[-1] ^= 1
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()

    bundles.rewrite(shop.release, change)
    shop.refuses("signature: no statement")


def test_another_key_is_refused(shop: Shop) -> None:
    shop.attach(made(), shop.theirs)
    shop.refuses("signature: no statement .* another key signed")


def test_another_images_record_is_refused(shop: Shop, tmp_path: Path) -> None:
    shop.attach(made())
    other = push_image(shop.c, f"{shop.here.repository}:other", tmp_path)
    bundles.copy(shop.release, other)
    registry.tag(shop.c, f"{shop.here.repository}:other", SHA)
    shop.refuses(r"subject\.digest: what is attached to image sha256:.* is about another image")


def test_a_record_of_another_commit_is_refused(shop: Shop) -> None:
    shop.attach(made("b" * 40))
    shop.refuses(r"predicate\.commit: it is about bbbbbbbbbbbb")


@pytest.mark.parametrize("name", REQUIRED_GATES)
def test_a_signed_record_without_a_gate_is_refused(shop: Shop, name: str) -> None:
    shop.attach(made(gates=[entry(other) for other in REQUIRED_GATES if other != name]))
    shop.refuses(rf"predicate\.gates\.{name}: the gate is missing")


def test_a_waiver_that_expired_since_is_refused(shop: Shop) -> None:
    gone = WaiverEntry(id="CVE-1", package="p", expires=date(2026, 1, 9), findings={"HIGH": 1})
    shop.attach(with_gate("deps", outcome="waived", counts={"HIGH": 1}, waivers=[gone]))
    shop.refuses(r"predicate\.gates\.deps\.waivers\.CVE-1\.expires: the waiver expired on 2026-01-09")


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
