"""The bucket of Terraform's state: versioned, encrypted, closed to the public; made once, checked every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.lib.aws import errors, session
from tasks.lib.errors import Code, Stop
from tasks.lib.infra_settings import Infra

STEP = "infra.bootstrap"
KEPT_DAYS = 90  # how long an earlier version of the state can be had back
CLOSED = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
US_EAST_1 = "us-east-1"  # the one region that S3 does not want to be told


@dataclass(frozen=True)
class Setting:
    """One thing that the bucket must have. now: what it has, in words. put: makes it so."""

    what: str
    wanted: str
    now: str
    put: Callable[[], object]

    @property
    def holds(self) -> bool:
        return self.now == self.wanted


def settings(infra: Infra) -> list[Setting]:
    """What the bucket has and must have. Raises Stop (4) when it is somebody else's, or in another region."""
    s3 = session.client(infra, "s3")
    bucket = {"Bucket": infra.bucket}
    there = _there(s3, infra)
    policy = _policy(infra)
    expiry = {"Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": KEPT_DAYS}}
    expiry |= {"ID": "earlier-states"}
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}

    def has(call: str, read: Callable[[dict[str, Any]], object], wanted: str) -> str:
        return _read(lambda: getattr(s3, call)(**bucket), read, wanted) if there else "missing"

    rows: list[tuple[str, str, str, Callable[[], object]]] = [
        (
            "versions",
            "kept",
            has("get_bucket_versioning", lambda got: got.get("Status") == "Enabled", "kept"),
            lambda: s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"}),
        ),
        (
            "encryption",
            "aws:kms",
            has("get_bucket_encryption", _algorithm, "aws:kms"),
            lambda: s3.put_bucket_encryption(**bucket, ServerSideEncryptionConfiguration={"Rules": [encryption]}),
        ),
        (
            "public access",
            "blocked",
            has("get_public_access_block", lambda got: got["PublicAccessBlockConfiguration"] == CLOSED, "blocked"),
            lambda: s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=CLOSED),
        ),
        (
            "plain HTTP",
            "refused",
            has("get_bucket_policy", lambda got: json.loads(got["Policy"]) == policy, "refused"),
            lambda: s3.put_bucket_policy(**bucket, Policy=json.dumps(policy)),
        ),
        (
            "earlier versions",
            f"{KEPT_DAYS} days",
            has("get_bucket_lifecycle_configuration", _days, f"{KEPT_DAYS} days"),
            lambda: s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": [expiry]}),
        ),
    ]
    if infra.endpoint.startswith("http:"):  # an emulation that is only to be had by plain HTTP
        rows = [row for row in rows if row[0] != "plain HTTP"]
    made = Setting("bucket", "there", "there" if there else "missing", lambda: _create(s3, infra))
    return [made, *(Setting(*row) for row in rows)]


def make(wanted: list[Setting]) -> int:
    """Puts what does not hold; returns how many settings that were. Raises Stop (4)."""
    open_ = [setting for setting in wanted if not setting.holds]
    with errors.told(STEP):
        for setting in open_:
            setting.put()
    return len(open_)


def _there(s3: Any, infra: Infra) -> bool:
    from botocore.exceptions import ClientError

    with errors.told(STEP):
        try:
            found = s3.head_bucket(Bucket=infra.bucket)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status == 404:
                return False
            if status == 403:
                fix = "name another one: infra.state.bucket in environment.yaml"
                text = f"{STEP}: the bucket {infra.bucket} is somebody else's, or these credentials may not see it"
                raise Stop(text, Code.COULD_NOT_RUN, fix) from error
            raise
    region = found.get("BucketRegion") or infra.region
    if region != infra.region:
        text = f"{STEP}: the bucket {infra.bucket} is in {region}, but environment.yaml names {infra.region}"
        raise Stop(text, Code.COULD_NOT_RUN, "correct infra.region or infra.state.bucket in environment.yaml")
    return True


def _create(s3: Any, infra: Infra) -> None:
    place = {} if infra.region == US_EAST_1 else {"CreateBucketConfiguration": {"LocationConstraint": infra.region}}
    s3.create_bucket(Bucket=infra.bucket, ObjectOwnership="BucketOwnerEnforced", **place)
    s3.get_waiter("bucket_exists").wait(Bucket=infra.bucket, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def _read(call: Callable[[], dict[str, Any]], read: Callable[[dict[str, Any]], object], wanted: str) -> str:
    """In words what the bucket has: `wanted` when it is so, what `read` says otherwise."""
    from botocore.exceptions import ClientError

    with errors.told(STEP):
        try:
            found = read(call())
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:  # such a thing was never set
                return "not set"
            raise
    if isinstance(found, bool):
        return wanted if found else "other"
    return str(found)


def _algorithm(got: dict[str, Any]) -> str:
    rules = got["ServerSideEncryptionConfiguration"]["Rules"]
    return str(rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]) if rules else "not set"


def _days(got: dict[str, Any]) -> str:
    days = [rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays") for rule in got.get("Rules", [])]
    return next((f"{number} days" for number in days if number), "not set")


def _policy(infra: Infra) -> dict[str, Any]:
    arn = f"arn:aws:s3:::{infra.bucket}"
    deny = {"Sid": "OnlyTls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    return {"Version": "2012-10-17", "Statement": [{**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}
