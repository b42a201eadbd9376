"""Section `infra` of environment.yaml: which AWS account an environment is built in, and where its state lies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

EMULATED_ACCOUNT = "123456789012"  # the one that moto answers with
ROOT_FOLDER = "infra/terraform"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("not an http(s):// URL")
    if parts.username or parts.password or parts.query:
        raise ValueError("holds a login or a query; credentials belong into the environment (AWS_PROFILE, ...)")
    return text.rstrip("/")


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class State(Strict):
    """Where Terraform's state lies: an S3 bucket that `infra.bootstrap` makes."""

    bucket: str = Field("", pattern=r"^$|^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="'': slipway-state-ACCOUNT")
    key: str = Field("", pattern=r"^$|^[^/].*", description="'': ENVIRONMENT/terraform.tfstate")
    lock_seconds: int = Field(60, ge=0, le=3600, description="how long to wait for somebody else's lock")


class Infra(Strict):
    """The AWS side of an environment. Credentials are never named here: the environment of the process has them."""

    account: str = Field("", pattern=r"^$|^\d{12}$", description="required unless emulated; every task checks it")
    region: str = Field("us-east-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    root: str = Field(ROOT_FOLDER, min_length=1, description="folder of the Terraform root in the checkout")
    variables: str = Field("", description="tfvars file in the checkout; '': ROOT/environments/ENVIRONMENT.tfvars")
    state: State = State()
    emulated: bool = Field(False, description="moto's server instead of AWS; a task that needs it starts it")
    endpoint: Endpoint = Field("", description="another place than AWS answers; '': AWS, or the lab's moto if emulated")
    plan_hours: int = Field(24, ge=1, le=720, description="how old a saved plan may be when it is applied")

    @property
    def account_id(self) -> str:
        """The account that everything is made in; '' where nobody said so."""
        return self.account or (EMULATED_ACCOUNT if self.emulated else "")

    @property
    def bucket(self) -> str:
        """Name of the state bucket."""
        return self.state.bucket or f"slipway-state-{self.account_id}"

    def key(self, environment: str) -> str:
        """The state's key in its bucket."""
        return self.state.key or f"{environment}/terraform.tfstate"

    def variables_file(self, environment: str) -> Path:
        """The tfvars file, relative to the checkout."""
        return Path(self.variables or f"{self.root}/environments/{environment}.tfvars")
