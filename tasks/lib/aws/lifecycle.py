"""What the lifecycle policy of a repository in ECR would delete, and which of it environments need."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.lib import history
from tasks.lib.aws import errors
from tasks.lib.aws.ecr import Answer, Place, image

if TYPE_CHECKING:
    from tasks.lib.desired import State

BATCH = 100  # images that ECR describes at once
PREVIEW_SECONDS = 5, 24  # between looks, and how many


class Expiring(Answer):
    """An image that a lifecycle policy would delete."""

    digest: str = Field(alias="imageDigest")
    tags: list[str] = Field([], alias="imageTags")
    rule: int = Field(0, alias="appliedRulePriority")
    about: list[str] = Field([], description="tags of the image that this is a signature, record or SBOM of")


def policy(place: Place) -> dict[str, Any] | None:
    """The repository's lifecycle policy, or None when nothing is ever deleted. Raises Stop (4)."""
    api = place.client()
    with errors.told(f"read the lifecycle policy of {place.name}"):
        try:
            text = api.get_lifecycle_policy(repositoryName=place.name, **place.registry)["lifecyclePolicyText"]
        except api.exceptions.LifecyclePolicyNotFoundException:
            return None
    found: dict[str, Any] = json.loads(text)
    return found


def preview(place: Place, given: Mapping[str, Any] | None = None) -> list[Expiring]:
    """What a lifecycle policy (None: the repository's own) would delete now; nothing is. Raises Stop (4).

    moto has no such call (5.2): tests play AWS's answers back with botocore's Stubber.
    """
    api = place.client()
    named = {"repositoryName": place.name, **place.registry}
    text = {"lifecyclePolicyText": json.dumps(given)} if given is not None else {}
    delay, looks = PREVIEW_SECONDS
    with errors.told(f"preview the lifecycle policy of {place.name}"):
        api.start_lifecycle_policy_preview(**named, **text)
        waiter = api.get_waiter("lifecycle_policy_preview_complete")
        waiter.wait(**named, WaiterConfig={"Delay": delay, "MaxAttempts": looks})
        pages = api.get_paginator("get_lifecycle_policy_preview").paginate(**named)
        found = [one for page in pages for one in page["previewResults"]]
    return [Expiring.model_validate(one) for one in found]


def with_subjects(place: Place, expiring: Sequence[Expiring]) -> list[Expiring]:
    """The same, each that is attached to an image knowing that image's tags. Raises Stop (4).

    Signatures and records have no tag of their own, so a rule for untagged images takes them too
    (https://github.com/aws/containers-roadmap/issues/2613), and a release without its record cannot be deployed again.
    """
    api, found = place.client(), {}
    untagged = [one.digest for one in expiring if not one.tags]
    with errors.told(f"read what is attached to images of {place.name}"):
        for start in range(0, len(untagged), BATCH):
            answer = api.batch_get_image(
                repositoryName=place.name,
                imageIds=[{"imageDigest": digest} for digest in untagged[start : start + BATCH]],
                **place.registry,
            )
            for one in answer["images"]:
                subject = json.loads(one["imageManifest"]).get("subject", {}).get("digest")
                there = image(place, subject) if subject else None
                found[one["imageId"]["imageDigest"]] = there.tags if there else []
    return [one.model_copy(update={"about": found.get(one.digest, [])}) for one in expiring]


def held(states: Iterable[State]) -> dict[str, list[str]]:
    """By environment: the commits whose images must stay, what runs there and what it may be rolled back to."""
    found = {}
    for state in states:
        commits = [state.release.revision, *history.arrived(state.events)]
        found[state.target.env.name] = list(dict.fromkeys(filter(None, commits)))
    return found


def endangered(expiring: Sequence[Expiring], needed: Mapping[str, Sequence[str]]) -> list[tuple[Expiring, str]]:
    """The images that a policy would delete although an environment needs them, each with that environment's name."""
    return [(one, name) for one in expiring for name, commits in needed.items() if {*one.tags, *one.about} & {*commits}]
