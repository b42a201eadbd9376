"""ECR as a registry: logins that live in memory alone, a repository and its rules, its images."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tasks.lib import registry
from tasks.lib.aws import errors, session
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import ECR_HOST

if TYPE_CHECKING:
    from tasks.lib.infra_settings import Infra

# What a commit's tag names never changes; `latest` moves with every push.
IMMUTABLE, MOVABLE = "IMMUTABLE_WITH_EXCLUSION", "latest"
RULES = {
    "imageTagMutability": IMMUTABLE,
    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": MOVABLE}],
}
SPARE = timedelta(minutes=30)  # a login (12 hours) that ends sooner is not begun with


@dataclass(frozen=True)
class Place:
    """A repository in ECR, as an environment names it: host/name."""

    infra: Infra
    repository: str

    @property
    def host(self) -> str:
        return self.repository.partition("/")[0]

    @property
    def name(self) -> str:
        return self.repository.partition("/")[2]

    @property
    def registry(self) -> dict[str, str]:
        """Whose registry it is, for each call: ECR's hosts say it, and it may be another account's than ours."""
        found = ECR_HOST.fullmatch(self.host)
        return {"registryId": found["account"]} if found else {}

    def client(self) -> Any:
        """A client for the region that the host names, else the environment's."""
        found = ECR_HOST.fullmatch(self.host)
        infra = self.infra.model_copy(update={"region": found["region"]}) if found else self.infra
        return session.client(infra, "ecr")


class Answer(BaseModel):
    """What ECR answers; fields that we do not read are left out."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Excluded(Answer):
    filter: str


class Scanning(Answer):
    scan_on_push: bool = Field(False, alias="scanOnPush")


class Repository(Answer):
    """A repository and its rules."""

    name: str = Field(alias="repositoryName")
    uri: str = Field(alias="repositoryUri")
    mutability: str = Field(alias="imageTagMutability")
    excluded: list[Excluded] = Field([], alias="imageTagMutabilityExclusionFilters")
    scanning: Scanning = Field(Scanning(), alias="imageScanningConfiguration")

    @property
    def keeps_tags(self) -> bool:
        """Whether every tag but `latest` is immutable, and `latest` can move."""
        return self.mutability == IMMUTABLE and [one.filter for one in self.excluded] == [MOVABLE]


class Image(Answer):
    """An image of the repository."""

    digest: str = Field(alias="imageDigest")
    tags: list[str] = Field([], alias="imageTags")
    pushed: AwareDatetime = Field(alias="imagePushedAt")
    size: int = Field(0, alias="imageSizeInBytes")


# --------------------------------------------------------------------------------------------------------- login

_logins: dict[Place, tuple[registry.Login, datetime]] = {}


def login(place: Place) -> registry.Login:
    """What crane, cosign and the engine log in with, once account and region are found to be the right ones.

    It is kept in this process's memory alone, until half an hour before it ends. Raises Stop (4).
    """
    if place in _logins and _logins[place][1] - datetime.now(timezone.utc) > SPARE:
        return _logins[place][0]
    step = "log in to ECR"
    session.identity(place.infra, step)
    with errors.told(step):
        given = place.client().get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    made = registry.Login(place.host, user, password)
    _logins[place] = made, given["expiresAt"]
    return made


# ---------------------------------------------------------------------------------------------------- repository


def describe(place: Place) -> Repository | None:
    """The repository and its rules, or None when it is not there. Raises Stop (4)."""
    api = place.client()
    with errors.told(f"describe the repository {place.name}"):
        try:
            found = api.describe_repositories(repositoryNames=[place.name], **place.registry)["repositories"]
        except api.exceptions.RepositoryNotFoundException:
            return None
    return Repository.model_validate(found[0])


def demand(place: Place) -> Repository:
    """The repository. Raises Stop (4) when it is not there: ECR makes none by being pushed to."""
    found = describe(place)
    if found is None:
        raise Stop(
            f"push: {place.host} has no repository {place.name}, and ECR makes none by itself",
            Code.COULD_NOT_RUN,
            "./inv infra.apply, or ./inv image.repository --create",
        )
    return found


def let_latest_move(place: Place) -> None:
    """Lets `latest` move where Terraform made every tag immutable: its AWS provider 5 cannot say except which.

    Raises Stop (4) when the repository is not there, or the role may not do that.
    """
    if demand(place).mutability != "IMMUTABLE":
        return
    with errors.told(f"let the tag {MOVABLE} of {place.name} move"):
        place.client().put_image_tag_mutability(repositoryName=place.name, **place.registry, **RULES)


def ensure(place: Place) -> tuple[Repository, bool]:
    """The repository with its rules: made or corrected where need be; and whether anything was.

    Commits' tags are immutable and `latest` moves, images are scanned on push. Raises Stop (4).
    """
    session.identity(place.infra, f"make the repository {place.name}")
    api, found = place.client(), describe(place)
    scanning = {"imageScanningConfiguration": {"scanOnPush": True}}
    named = {"repositoryName": place.name, **place.registry}
    if found and found.keeps_tags and found.scanning.scan_on_push:
        return found, False
    with errors.told(f"make the repository {place.name}"):
        if found is None:
            try:
                api.create_repository(**named, **RULES, **scanning)
            except api.exceptions.RepositoryAlreadyExistsException:  # somebody else was faster
                return ensure(place)
        else:
            if not found.keeps_tags:
                api.put_image_tag_mutability(**named, **RULES)
            if not found.scanning.scan_on_push:
                api.put_image_scanning_configuration(**named, **scanning)
    return demand(place), True


def image(place: Place, digest: str) -> Image | None:
    """The image of this digest, or None when the repository has none. Raises Stop (4)."""
    api = place.client()
    wanted = {"repositoryName": place.name, "imageIds": [{"imageDigest": digest}], **place.registry}
    with errors.told(f"describe image {digest[:19]}"):
        try:
            found = api.describe_images(**wanted)["imageDetails"]
        except api.exceptions.ImageNotFoundException:
            return None
    return Image.model_validate(found[0]) if found else None
