"""Section `signing` of environment.yaml: what signs the records of releases, and what proves that it did."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# What cosign takes besides a file.
KEY_SCHEMES = ("awskms", "gcpkms", "azurekms", "hashivault", "k8s", "gitlab", "env")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _key(text: str) -> str:
    scheme, separator, _ = text.partition("://")
    if separator and scheme not in KEY_SCHEMES:
        raise ValueError(f"neither a file nor one of {', '.join(f'{name}://' for name in KEY_SCHEMES)}")
    if "-----BEGIN" in text:
        raise ValueError("holds a key itself; name a file or env://NAME instead")
    return text


Key = Annotated[str, AfterValidator(_key)]


class Keys(Strict):
    """A key pair: files (relative to the checkout), a key management service, or a variable of the environment."""

    kind: Literal["key"]
    key: Key = Field("", description="what signs; '' where releases are only verified, never pushed")
    public_key: Key = Field(min_length=1, description="what verifies; may be committed beside environment.yaml")


class Keyless(Strict):
    """A certificate for each signature, given to a pipeline's identity, and a public transparency log."""

    kind: Literal["keyless"]
    identity: str = Field(
        min_length=1, description="https://gitlab.com/GROUP/PROJECT//.gitlab-ci.yml@refs/heads/BRANCH"
    )
    issuer: str = Field("https://gitlab.com", min_length=1, description="who vouches for the identity (OIDC issuer)")


Signing = Annotated[Keys | Keyless, Field(discriminator="kind")]
