"""Terraform as an external program: one place, its variables and its state; every call with a deadline."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from invoke.context import Context
from invoke.runners import Result

from tasks.lib import locks
from tasks.lib.aws import session
from tasks.lib.errors import Stop
from tasks.lib.infra import messages, moto, providers
from tasks.lib.infra.messages import Diagnostic, Line
from tasks.lib.infra.place import Place, source_digest
from tasks.lib.runner import run

INIT_SECONDS = 900.0  # the AWS provider is some 700 MB where it comes from the registry
ASK_SECONDS = 300.0
# A killed apply leaves a lock and up to 20 s of work that no state knows of: only what hangs for good is ended.
CHANGE_SECONDS = 4 * 3600.0
ANY_EXIT = range(256)
# Runs a program with its output in a file: it goes on and keeps its state when the caller dies and its pipe breaks.
INTO_FILE = 'log="$1"; shift; exec "$@" >"$log" 2>&1'
# Terraform and the AWS provider build the provider's schema anew for every command, and a fifth of that is Go's
# collector at its default of 100. The price is memory: some 400 MB more while a command runs.
COLLECTOR = {"GOGC": "400"}
STAMP = "prepared"  # what `init` was last done for; beside what it left


@dataclass(frozen=True)
class Terraform:
    """The program, ready to work on one place."""

    c: Context
    program: Path
    place: Place

    @cached_property
    def variables(self) -> dict[str, str]:
        """The environment of every call: nothing of the user's own settings for Terraform counts, save Go's."""
        ours = {
            **{name: os.environ.get(name, value) for name, value in COLLECTOR.items()},
            "TF_DATA_DIR": str(self.place.data),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "TF_CLI_ARGS": "",
            "TF_WORKSPACE": "",
            "CHECKPOINT_DISABLE": "1",
            **providers.settings(self.place.work),
            **session.variables(self.place.infra),
        }
        if self.place.infra.endpoint:  # what the state's backend looks at instead of AWS_ENDPOINT_URL
            ours |= dict.fromkeys(("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"), self.place.infra.endpoint)
        if self.place.infra.emulated:  # a person's own login has no business with an emulation
            ours |= {"AWS_PROFILE": "", "AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true"}
        return ours

    def call(self, *words: str | Path, step: str, timeout: float = ASK_SECONDS, log: Path | None = None) -> Result:
        """Runs terraform in the root, whatever it ends with. log: where its output goes instead of into the result."""
        argv: list[str | Path] = [self.program, f"-chdir={self.place.root}", *words]
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            argv = ["sh", "-c", INTO_FILE, "terraform", log, *argv]
        return run(self.c, argv, step=step, timeout=timeout, env=self.variables, ok=ANY_EXIT, quiet=True)

    def ask(self, *words: str | Path, step: str) -> str:
        """The stdout of a question. Raises Stop."""
        result = self.call(*words, step=step)
        if result.exited:
            raise messages.stop(step, [], self.place.name, result.stderr or result.stdout)
        return result.stdout

    def lines(
        self,
        verb: str,
        *words: str | Path,
        step: str,
        ok: Sequence[int] = (0,),
        known: Callable[[Sequence[Diagnostic]], Stop | None] = lambda found: None,
    ) -> tuple[int, list[Line]]:
        """Exit code and output of a call that speaks JSON. Raises Stop with what Terraform complained about.

        known: says it better where it can.
        """
        result = self.call(verb, "-json", "-no-color", *words, step=step, timeout=CHANGE_SECONDS)
        lines = list(messages.read(result.stdout))
        if result.exited not in ok:
            found = messages.errors(lines)
            raise known(found) or messages.stop(step, found, self.place.name, result.stderr or result.stdout)
        return result.exited, lines

    @property
    def waiting(self) -> str:
        """How long a call waits for a lock that somebody else holds."""
        return f"-lock-timeout={self.place.infra.state.lock_seconds}s"

    @property
    def values(self) -> list[str]:
        """The variables' file and what follows from environment and commit."""
        pairs = [word for name, value in self.place.given.items() for word in ("-var", f"{name}={value}")]
        return [f"-var-file={self.place.variables}", *pairs]


@contextmanager
def ready(c: Context, place: Place) -> Iterator[Terraform]:
    """Terraform, installed when missing, connected to the state, and nobody else at it in this checkout.

    Starts an emulation, and asks AWS whether these credentials are of the environment's account and region.
    Raises Stop: could not run (4) for other ones, without the program, the providers or the state bucket.
    """
    from tasks.lib import tools

    program = tools.path(c, "terraform")
    infra = moto.resolved(place.infra)
    terraform = Terraform(c, program, replace(place, infra=infra))
    with locks.exclusive(place.work / "lock", f"another infra task of {place.name}", CHANGE_SECONDS):
        terraform.variables  # noqa: B018 - made before there are two threads: credentials are looked for only once
        # Both only read, and each takes a second.
        with ThreadPoolExecutor(max_workers=1) as pool:
            asked = pool.submit(session.identity, infra)
            try:
                _init(terraform)
            except Stop:
                asked.result()  # says it better than Terraform when the credentials are the cause
                raise
            asked.result()
        yield terraform


def _init(terraform: Terraform) -> None:
    """`terraform init`, unless nothing that it depends on has changed since it last went well."""
    place = terraform.place
    words = _backend(place)
    stamp = place.data / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == _prepared(terraform, words):
        return
    stamp.unlink(missing_ok=True)
    result = terraform.call("init", "-reconfigure", "-no-color", *words, step="infra: init", timeout=INIT_SECONDS)
    if result.exited:
        raise messages.stop("infra: init", [], place.name, result.stderr or result.stdout)
    stamp.write_text(_prepared(terraform, words), encoding="utf-8")


def _backend(place: Place) -> list[str]:
    infra = place.infra
    backend = {"bucket": infra.bucket, "key": infra.key(place.name), "region": infra.region, "use_lockfile": "true"}
    backend["encrypt"] = "true"
    if infra.endpoint:
        backend |= dict.fromkeys(("use_path_style", "skip_metadata_api_check"), "true")
    words = [f"-backend-config={key}={value}" for key, value in backend.items()]
    return [*words, "-lockfile=readonly"] if (place.root / ".terraform.lock.hcl").exists() else words


def _prepared(terraform: Terraform, words: Sequence[str]) -> str:
    """A digest of all that `init` reads and of what it left behind: where something went missing it is another one."""
    place, found = terraform.place, hashlib.sha256()
    program = terraform.program.stat()
    configuration = Path(terraform.variables.get("TF_CLI_CONFIG_FILE") or os.environ.get("TF_CLI_CONFIG_FILE") or "")
    read = [configuration, *(place.data / name for name in ("terraform.tfstate", "modules/modules.json"))]
    left = [path for path in sorted((place.data / "providers").rglob("*")) if path.exists()]
    facts = [terraform.program, program.st_size, program.st_mtime_ns, place.infra.endpoint, *words, *left]
    for one in (source_digest(place), *facts, *(path.read_bytes() for path in read if path.is_file())):
        found.update(f"{one!r}\0".encode())
    return found.hexdigest()
