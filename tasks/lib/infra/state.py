"""What the state says: outputs; and whose lock is on it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.lib.aws import errors, session
from tasks.lib.errors import Code, Stop
from tasks.lib.infra.place import Place
from tasks.lib.infra.terraform import Terraform

HIDDEN = "(sensitive)"


class Output(BaseModel):
    """One output of the root."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    value: Any = None
    sensitive: bool = False

    @property
    def shown(self) -> str:
        """The value as text; never a sensitive one."""
        if self.sensitive:
            return HIDDEN
        return self.value if isinstance(self.value, str) else json.dumps(self.value)


def outputs(terraform: Terraform) -> dict[str, Output]:
    """All outputs by name; none before the first apply."""
    found = json.loads(terraform.ask("output", "-json", "-no-color", step="infra.outputs") or "{}")
    return {name: Output.model_validate(value) for name, value in sorted(found.items())}


def output(terraform: Terraform, name: str) -> str:
    """One output as text. Raises Stop: usage (2) for an unknown name, refused (5) for a sensitive one."""
    found = outputs(terraform)
    if name not in found:
        known = ", ".join(found) or "none; nothing is applied"
        fix = "" if found else f"./inv infra.plan --env {terraform.place.name}"
        raise Stop(f"infra.outputs: there is no output {name}; there are: {known}", Code.USAGE, fix)
    if found[name].sensitive:
        raise Stop(f"infra.outputs: {name} is sensitive and is not printed", Code.REFUSED, "./inv infra.outputs --help")
    return found[name].shown


class Lock(BaseModel):
    """Who holds the state, as Terraform's S3 backend writes it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(alias="ID")
    operation: str = Field("", alias="Operation")
    who: str = Field("", alias="Who")
    created: str = Field("", alias="Created")


def lock(place: Place) -> Lock | None:
    """The lock on the state, or None. Raises Stop (4)."""
    from botocore.exceptions import ClientError

    key = f"{place.infra.key(place.name)}.tflock"
    with errors.told("infra.unlock"):
        try:
            text = session.client(place.infra, "s3").get_object(Bucket=place.infra.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                return None
            raise
    try:
        return Lock.model_validate_json(text)
    except ValidationError as error:
        where = f"s3://{place.infra.bucket}/{key}"
        text = f"infra.unlock: {where} is not a lock of Terraform's"
        raise Stop(text, Code.COULD_NOT_RUN, f"aws s3 cp {where} -") from error


def unlock(terraform: Terraform, held: Lock) -> None:
    """Takes this very lock away. Raises Stop (4) when it is another one by now."""
    terraform.ask("force-unlock", "-force", held.id, step="infra.unlock")
