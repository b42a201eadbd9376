"""Which key signs and which verifies: as written in environment.yaml, as cosign takes it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import settings, signing
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import Environment
from tasks.lib.signing_settings import Keyless, Keys
from tests.lib.signed import environment
from tests.lib.test_settings import CONTEXT, load

KMS = Keys(kind="key", key="awskms:///alias/release", public_key="gcpkms://projects/p/key")
CI = Keyless(kind="keyless", identity="https://gitlab.com/team/s//.gitlab-ci.yml@refs/heads/main")


def keyless() -> Environment:
    return environment().model_copy(update={"signing": CI})


def test_a_key_service_is_named_as_it_is_and_no_log_is_asked(c: Context) -> None:
    signs, verifies = signing.signer(c, environment(KMS)), signing.verifier(c, environment(KMS))
    assert signs.options[:2] == ("--key", "awskms:///alias/release")
    assert "--signing-config" in signs.options
    assert verifies.options == ("--key", "gcpkms://projects/p/key", "--insecure-ignore-tlog=true")


def test_a_pipelines_identity_uses_the_public_log(c: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing.TOKEN, "a token that no command line shows")
    assert signing.signer(c, keyless()).options == ()
    options = signing.verifier(c, keyless()).options
    assert options == ("--certificate-identity", CI.identity, "--certificate-oidc-issuer", "https://gitlab.com")


@pytest.mark.parametrize(
    ("env", "sentence", "fix"),
    [
        (environment(), "staging has no key to sign with", "write signing: {kind: key"),
        (keyless(), "SIGSTORE_ID_TOKEN is not set", "id_tokens: {SIGSTORE_ID_TOKEN: {aud: sigstore}}"),
        (environment(Keys(kind="key", public_key="k.pub")), "no key to sign with, only k.pub", "signing.key in gitops"),
        (environment(Keys(kind="key", key="no/file", public_key="k")), "there is no file no/file", "generate-key-pair"),
        (
            environment(Keys(kind="key", key="env://NO_SUCH_KEY", public_key="k")),
            "NO_SUCH_KEY is not set",
            "set NO_SUCH",
        ),
    ],
)
def test_nothing_to_sign_with_is_said_with_what_to_write(
    c: Context, env: Environment, sentence: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(signing.TOKEN, raising=False)
    with pytest.raises(Stop) as caught:
        signing.signer(c, env)
    assert caught.value.code == Code.COULD_NOT_RUN
    assert sentence in caught.value.sentence
    assert fix in caught.value.fix


@pytest.mark.parametrize("env", [environment(), environment(Keys(kind="key", public_key="no/file"))])
def test_nothing_to_verify_with_refuses(c: Context, env: Environment) -> None:
    with pytest.raises(Stop) as caught:
        signing.verifier(c, env)
    assert caught.value.code == Code.REFUSED
    assert "gitops/environments/staging/environment.yaml" in caught.value.fix


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("{kind: key}", "signing.key.public_key: Field required"),
        (
            "{kind: key, public_key: k, password: p}",
            "signing.key.password: unknown key; allowed here: kind, key",
        ),
        ("{kind: key, public_key: 'https://k'}", "neither a file nor one of awskms://, gcpkms://"),
        ("{kind: key, public_key: k, key: '-----BEGIN ENCRYPTED'}", "name a file or env://NAME instead"),
        ("{kind: keyless}", "signing.keyless.identity: Field required"),
        ("{kind: gpg}", "'key', 'keyless'"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, section: str, told: str) -> None:
    with pytest.raises(Stop) as caught:
        load(tmp_path, f"{CONTEXT}signing: {section}\n")
    assert caught.value.code == Code.USAGE
    assert told in caught.value.sentence


def test_shipped_environments_name_theirs_and_the_lab_needs_none() -> None:
    for name in settings.known():
        env = settings.load(name)
        assert (env.signing is None) == (env.cluster.kind == "lab")


def test_the_lab_makes_its_key_pair_once(c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_LAB_HOME", str(tmp_path / "lab"))
    env = environment(cluster={"kind": "lab"})
    first = signing.signer(c, env)
    folder = tmp_path / "lab" / "signing"
    assert first.options[:2] == ("--key", str(folder / "cosign.key"))
    assert signing.verifier(c, env).options[1] == str(folder / "cosign.pub")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "cosign.key").stat().st_mode) == 0o600
    content = (folder / "cosign.key").read_bytes()
    assert signing.signer(c, env) == first
    assert sorted(path.name for path in folder.iterdir()) == ["cosign.key", "cosign.pub"]
    assert (folder / "cosign.key").read_bytes() == content
