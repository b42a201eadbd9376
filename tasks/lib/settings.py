"""One file per environment, gitops/environments/<env>/environment.yaml, read into a model that forbids unknown keys."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tasks.lib import rehearsal
from tasks.lib.errors import Code, Stop
from tasks.lib.infra_settings import Infra, State
from tasks.lib.paths import ROOT
from tasks.lib.promotion_settings import Approvals, Promotion
from tasks.lib.signing_settings import Keyless, Keys, Signing

ENVIRONMENTS = ROOT / "gitops" / "environments"
SERVICE = "slipway-service"
MIRRORED_ADVISORIES, MIRRORED_TRIVY = "osv/PyPI/all.zip", "trivy/db.tar.gz"  # below each of gates.mirrors


class Severity(str, Enum):
    """Severities as Trivy and the CVSS tables name them."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    UNKNOWN = "UNKNOWN"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabCluster(Strict):
    """The local platform; brings its own registry and Git remote."""

    kind: Literal["lab"]


class ContextCluster(Strict):
    """A cluster that a kubeconfig context names: kind, k3d, minikube, EKS or any other."""

    kind: Literal["context"]
    context: str = Field(min_length=1)
    kubeconfig: Path | None = Field(None, description="file; default: $KUBECONFIG, then ~/.kube/config")
    install_argocd: bool = Field(True, description="install Argo CD from its upstream manifests when it is missing")


class EksCluster(Strict):
    """A cluster of AWS in the account and region of `infra`; tokens are made by boto3, no kubeconfig is needed."""

    kind: Literal["eks"]
    name: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$")
    install_argocd: bool = Field(True, description="install Argo CD from its upstream manifests when it is missing")


ECR_HOST = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)"
)


class Registry(Strict):
    """Where images are pushed to and pulled from."""

    kind: Literal["auto", "docker", "ecr"] = Field(
        "auto",
        description="how to log in. docker: as `docker login` did; ecr: through AWS; auto: ecr where the host is one",
    )
    repository: str = Field(min_length=3, description="host[:port]/path, without a tag")
    insecure: bool = Field(False, description="plain HTTP; a loopback registry never needs this")

    @property
    def is_ecr(self) -> bool:
        return self.kind == "ecr" or (
            self.kind == "auto" and bool(ECR_HOST.fullmatch(self.repository.partition("/")[0]))
        )


class GitRemote(Strict):
    """Where the desired state lives."""

    url: str = Field(min_length=3)
    branch: str = "main"


def _place(text: str) -> str:
    """A place that a database can be had from; a login in it would end up in reports."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https", "file") and not text.startswith("/"):
        raise ValueError("neither an http(s):// or file:// URL nor an absolute path")
    if parts.username or parts.password or parts.query:
        raise ValueError("holds a login or a query; a login belongs into ~/.netrc")
    return text


def _registry_or_place(text: str) -> str:
    if "://" not in text and not text.startswith("/") and re.fullmatch(r"[\w.-]+(:\d+)?/[\w./-]+(:[\w.-]+)?", text):
        return text
    return _place(text)


Place = Annotated[str, AfterValidator(_place)]
RegistryOrPlace = Annotated[str, AfterValidator(_registry_or_place)]
Coverage = Literal["pip", "os", "debian"]


class Gates(Strict):
    """What a release must pass before it may run here."""

    severities: list[Severity] = Field(default=[Severity.CRITICAL, Severity.HIGH], min_length=1)
    max_database_age_days: int = Field(7, ge=1, le=3650)
    allow_snapshot: bool = Field(
        False, description="accept the advisories shipped with Slipway where no newer are reachable"
    )
    required_coverage: list[Coverage] = Field(
        default=["pip", "os"],
        min_length=1,
        description="what the scan of the image must have proven to see; os: the operating system of that image",
    )
    mirrors: list[Place] = Field(
        default=[],
        description="folders or URLs that `scan.update --export` filled, in order; where set, nothing else is asked",
    )
    advisories: list[Place] = Field(
        default=["https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip"],
        description="OSV zip files of PyPI advisories (URL or path), tried in order",
    )
    trivy_databases: list[RegistryOrPlace] = Field(
        default=["mirror.gcr.io/aquasec/trivy-db:2", "ghcr.io/aquasecurity/trivy-db:2"],
        description="registries of Trivy's database, or URLs or paths of its db.tar.gz, tried in order",
    )

    @property
    def advisory_places(self) -> list[str]:
        """Where OSV zip files are looked for, in this order."""
        return [f"{mirror.rstrip('/')}/{MIRRORED_ADVISORIES}" for mirror in self.mirrors] or list(self.advisories)

    @property
    def trivy_places(self) -> list[str]:
        """Where Trivy's database is looked for, in this order."""
        return [f"{mirror.rstrip('/')}/{MIRRORED_TRIVY}" for mirror in self.mirrors] or list(self.trivy_databases)


class Smoke(Strict):
    """The smoke test of a release, sent through the Service."""

    attempts: int = Field(3, ge=1, le=20, description="tries per check; a check passes when one try passes")
    timeout_seconds: float = Field(5.0, gt=0, le=60)


class Rollout(Strict):
    """How long a release may take to arrive, and what counts as arrived."""

    timeout_seconds: float = Field(180.0, ge=10, le=3600)
    version_checks: int = Field(3, ge=1, le=20, description="times in a row that every pod must answer with the SHA")


class Observe(Strict):
    """Where the environment's signals are asked for."""

    prometheus: str = Field("", pattern=r"^(https?://[^\s@?]+)?$", description="its address as people reach it")


Cluster = Annotated[LabCluster | ContextCluster | EksCluster, Field(discriminator="kind")]


class Environment(Strict):
    """One environment: where it runs, what it demands, how it is checked."""

    name: str = Field("", description="the folder's name; not written in the file")
    rehearsed: bool = Field(False, description="hosted by this machine's lab for now; not written in the file")
    cluster: Cluster
    registry: Registry | None = Field(None, description="required unless the cluster is the lab")
    git: GitRemote | None = Field(None, description="required unless the cluster is the lab")
    ask: bool = Field(True, description="ask before every change (or demand --yes where there is no terminal)")
    allow_dirty: bool = Field(False, description="accept releases built with --dirty")
    protected: bool = Field(False, description="infra.destroy wants --i-know and the environment's name")
    signing: Signing | None = Field(None, description="required unless the cluster is the lab, which has its own keys")
    gates: Gates = Gates()
    smoke: Smoke = Smoke()
    rollout: Rollout = Rollout()
    promotion: Promotion | None = Field(None, description="releases come from another environment, by `promote` only")
    infra: Infra = Infra()
    observe: Observe = Observe()

    @property
    def namespace(self) -> str:
        return f"slipway-{self.name}"

    @property
    def uses_aws(self) -> bool:
        """Whether its cluster or its registry is logged in to through AWS."""
        return self.cluster.kind == "eks" or (self.registry is not None and self.registry.is_ecr)

    @property
    def application(self) -> str:
        """Name of the Argo CD Application and of the Helm release."""
        return f"slipway-{self.name}"

    @property
    def folder(self) -> str:
        """The environment's folder inside the desired-state repository."""
        return f"gitops/environments/{self.name}"


def known(folder: Path = ENVIRONMENTS) -> list[str]:
    """Names of all environments that have a file."""
    return sorted(path.parent.name for path in folder.glob("*/environment.yaml"))


def _explain(path: Path, error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "(file)"
        message = problem["msg"]
        if problem["type"] == "extra_forbidden":
            message = f"unknown key; allowed here: {', '.join(_allowed(problem['loc'][:-1]))}"
        lines.append(f"{path}: {where}: {message}")
    return "\n".join(lines)


def _allowed(where: tuple[int | str, ...]) -> list[str]:
    """Keys that the model at this place of the file knows."""
    model: type[BaseModel] = Environment
    kinds: dict[object, type[BaseModel]] = {"lab": LabCluster, "context": ContextCluster, "eks": EksCluster}
    kinds["key"], kinds["keyless"] = Keys, Keyless
    sections: dict[object, type[BaseModel]] = {
        "registry": Registry,
        "git": GitRemote,
        "gates": Gates,
        "smoke": Smoke,
        "rollout": Rollout,
        "promotion": Promotion,
        "approvals": Approvals,
        "infra": Infra,
        "observe": Observe,
        "state": State,
        **kinds,
    }
    for part in where:
        model = sections.get(part, model)
    ours = ("name", "rehearsed") if model is Environment else ()
    return [field.alias or key for key, field in model.model_fields.items() if key not in ours]


def load(name: str = "local", folder: Path = ENVIRONMENTS) -> Environment:
    """The environment of this name. Raises Stop (2) naming file, key and allowed values when it does not hold."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = folder / name / "environment.yaml"
    if name not in known(folder):
        raise Stop(
            f"unknown environment '{name}'; known: {', '.join(known(folder)) or 'none'}", Code.USAGE, "./inv status"
        )
    mended = f"./inv status --env {name}, when it is mended"
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise Stop(f"{shown} is not YAML: {' '.join(str(error).split())}", Code.USAGE, mended) from error
    if not isinstance(data, dict):
        raise Stop(f"{shown} holds no settings", Code.USAGE, mended)
    if "name" in data:
        raise Stop(f"{shown}: name: unknown key; the folder names the environment", Code.USAGE, mended)
    if "rehearsed" in data:
        raise Stop(
            f"{shown}: rehearsed: unknown key; `./inv lab.up --rehearse` rehearses",
            Code.USAGE,
            f"./inv lab.up --rehearse {name}",
        )
    if folder == ENVIRONMENTS:
        data = rehearsal.applied(name, data)
    try:
        environment = Environment(**{**data, "name": name})
    except ValidationError as error:
        raise Stop(_explain(shown, error), Code.USAGE, mended) from error
    missing = [key for key in ("registry", "git") if getattr(environment, key) is None]
    if environment.cluster.kind != "lab" and missing:
        raise Stop(f"{shown}: {', '.join(missing)}: required unless cluster.kind is lab", Code.USAGE, mended)
    if environment.uses_aws and not environment.infra.account_id:
        raise Stop(f"{shown}: infra.account: required with an EKS cluster or an ECR registry", Code.USAGE, mended)
    return environment
