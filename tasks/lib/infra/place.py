"""What every infra task works on: an environment's root, variables, state and account, and the commit they are of."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context

from tasks.lib import git, paths, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.infra_settings import Infra
from tasks.lib.settings import Environment

VARIABLE_PREFIX = "TF_VAR_"
NOT_READ = {".terraform", "environments", "tests"}  # below a root: what a plan of one environment does not depend on


@dataclass(frozen=True)
class Place:
    """One environment's Terraform. work: the folder of its saved plan and of Terraform's own data.

    commit: full SHA of HEAD, with -dirty when the files of the root differ from it; a saved plan is bound to it.
    made_by: the last commit that changed what Terraform reads, marked likewise; it goes into every resource's tags.
    """

    env: Environment
    infra: Infra
    root: Path
    variables: Path
    work: Path
    commit: str
    made_by: str

    @property
    def name(self) -> str:
        return self.env.name

    @property
    def data(self) -> Path:
        """Terraform's own folder: providers, modules, which backend."""
        return self.work / "terraform"

    @property
    def saved(self) -> Path:
        """The folder of the saved plan; a pipeline hands it on."""
        return self.work / "plan"

    @property
    def state(self) -> str:
        """The state as a person would name it."""
        return f"s3://{self.given['state']}"

    @property
    def given(self) -> dict[str, str]:
        """Variables that follow from the environment and the commit."""
        return {
            "environment": self.name,
            "commit": self.made_by,
            "region": self.infra.region,
            "account_id": self.infra.account_id,
            "emulated": str(self.infra.emulated).lower(),
            "state": f"{self.infra.bucket}/{self.infra.key(self.name)}",
        }


def work_folder(env: Environment) -> Path:
    """Where the saved plan and Terraform's data of an environment are kept."""
    return paths.work() / "infra" / env.name


def account(env: Environment) -> Infra:
    """The environment's settings once these credentials are found to be of its account; starts an emulation.

    Raises Stop: usage (2) when it names no account, could not run (4) for a wrong account or bad credentials.
    """
    from tasks.lib.aws import session
    from tasks.lib.infra import moto

    _demand_account(env)
    infra = moto.resolved(env.infra)
    session.identity(infra)
    return infra


def describe(c: Context, env: Environment, repo: Path = paths.ROOT, work: Path | None = None) -> Place:
    """The place of an environment as the checkout says; asks nobody outside.

    Raises Stop: usage (2) when the environment has no account or no files, refused (5) when the files of the root
    differ from the commit.
    """
    _demand_account(env)
    infra, where = env.infra, f"{env.folder}/environment.yaml"
    root, variables = repo / infra.root, repo / infra.variables_file(env.name)
    if not any(root.glob("*.tf")):
        raise Stop(f"no Terraform files in {infra.root}", Code.USAGE, f"infra.root in {where}")
    if not variables.is_file():
        raise Stop(
            f"{env.name} has no variables: {infra.variables_file(env.name)} is missing",
            Code.USAGE,
            f"infra.variables in {where}",
        )
    head = git.head(c, repo)
    mark = _mark(c, env, repo, head, [root, variables])
    made_by = _last_change(c, repo, root, variables) or head
    return Place(env, infra, root, variables, work or work_folder(env), head + mark, made_by + mark)


def _demand_account(env: Environment) -> None:
    if not env.infra.account_id:
        fix = f'{env.folder}/environment.yaml: infra: {{account: "123456789012"}}'
        raise Stop(f"{env.name} names no AWS account", Code.USAGE, fix)


def _mark(c: Context, env: Environment, repo: Path, head: str, ours: list[Path]) -> str:
    """'-dirty' when what Terraform reads is not what HEAD holds. Raises Stop (5) where that is not allowed."""
    changed = [name for name in git.dirty(c, repo) if any(_within(repo / name, path) for path in ours)]
    if not changed:
        return ""
    if not env.allow_dirty:
        raise Stop(
            f"{env.name}: {len(changed)} files of the infrastructure differ from the commit ({', '.join(changed[:3])})",
            Code.REFUSED,
            "git commit",
        )
    terminal.warn(f"{', '.join(changed[:3])} differ from {head[:12]}: planned as they are")
    return "-dirty"


def _last_change(c: Context, repo: Path, root: Path, variables: Path) -> str:
    """The last commit that changed what a plan of this environment depends on; '' where there is none.

    HEAD itself would not do: every commit of the service would change a tag of everything that there is.
    """
    others = [path for path in (root / "environments").glob("*") if path != variables]
    left_out = [f":(exclude){path}" for path in (root / "tests", root / "*.md", *sorted(others))]
    words = ["log", "-1", "--format=%H", "--", str(root), str(variables), *left_out]
    return git.ask(c, *words, repo=repo, step="read the history of the root", ok=(0, 128))  # 128: not in this checkout


def _within(changed: Path, ours: Path) -> bool:
    """Whether one is the other or lies in it; Git names a new folder and not its files."""
    return changed == ours or ours in changed.parents or changed in ours.parents


def source_digest(place: Place) -> str:
    """SHA-256 of every file that Terraform reads: a plan is bound to it."""
    found = hashlib.sha256()
    for file in sorted(place.root.rglob("*")):
        name = file.relative_to(place.root)
        if file.is_file() and not NOT_READ.intersection(name.parts) and file.suffix != ".md":
            found.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def variables_digest(place: Place) -> str:
    """SHA-256 of all that gives variables their values, also those of the process."""
    found = hashlib.sha256(place.variables.read_bytes())
    of_process = {name: value for name, value in os.environ.items() if name.startswith(VARIABLE_PREFIX)}
    for name, value in sorted({**of_process, **place.given}.items()):
        found.update(f"{name}={value}\0".encode())
    return found.hexdigest()
