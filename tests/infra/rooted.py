"""The Terraform root of the repository, in a folder of a test's own, with the real program and no account."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.lib import paths
from tasks.lib.infra import providers

ROOT = paths.ROOT / "infra/terraform"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ACCOUNT = "123456789012"
REGION = "us-east-1"
SECONDS = 400.0


@dataclass(frozen=True)
class Terraform:
    """One folder that terraform works in. variables: of its process, beside those of the test's."""

    program: Path
    folder: Path
    variables: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Whatever it ends with, within a deadline."""
        return subprocess.run(
            [self.program, *words],
            cwd=self.folder,
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )

    def plan(self, environment: str, emulated: bool) -> dict[str, Any]:
        """What a first apply of that environment would make, as `terraform show -json` says it."""
        done = self.run("plan", "-input=false", "-lock=false", "-out=plan", *values(environment, emulated))
        assert done.returncode == 0, done.stderr
        return dict(json.loads(self.run("show", "-json", "plan").stdout))


def values(environment: str, emulated: bool) -> list[str]:
    """The words that give the variables of an environment their values."""
    given = {"environment": environment, "commit": COMMIT, "region": REGION, "account_id": ACCOUNT}
    given |= {"emulated": str(emulated).lower(), "state": f"slipway-state-{ACCOUNT}/{environment}/terraform.tfstate"}
    pairs = [word for name, value in given.items() for word in ("-var", f"{name}={value}")]
    return [f"-var-file=environments/{environment}.tfvars", *pairs]


def copy(program: Path, dest: Path, endpoint: str = "") -> Terraform:
    """The root as a copy with a state of its own in the folder, connected to moto's server if there is one."""
    shutil.copytree(ROOT, dest, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
    (dest / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n', encoding="utf-8")
    return opened(program, dest, endpoint, "-lockfile=readonly")


def opened(program: Path, folder: Path, endpoint: str = "", *words: str) -> Terraform:
    """Terraform in that folder, after `init`."""
    ours = {
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Nothing of a test may reach AWS: without a server of its own, calls end at a port where nobody listens.
        "AWS_ENDPOINT_URL": endpoint or "http://127.0.0.1:9",
        **providers.settings(folder.with_name(f"{folder.name}-settings")),
    }
    terraform = Terraform(program, folder, ours)
    done = terraform.run("init", "-input=false", "-no-color", *words)
    assert done.returncode == 0, done.stderr
    return terraform


@contextmanager
def moto(log: Path) -> Iterator[str]:
    """The endpoint of a moto server of the test's own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with log.open("w", encoding="utf-8") as out:
        argv: Sequence[str] = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        try:
            _wait(server, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError("moto's server did not start")
