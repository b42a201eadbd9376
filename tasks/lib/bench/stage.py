"""What the rows share: one throwaway user on the lab, releases that are built once, and the raw scripts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import registry, terminal, tools
from tasks.lib.bench.scratch import Edit, Scratch, scratch
from tasks.lib.runner import run

DATA = Path(__file__).parent / "data"
RAW_SECONDS = 300.0
APP = "service/slipway_service/app.py"
TEXT = "Tells the time in any zone"


def swap(old: str, new: str) -> Callable[[str], str]:
    """An edit of one line; the line must be there."""

    def edit(text: str) -> str:
        if old not in text:
            raise ValueError(f"{old!r} is not there any more")
        return text.replace(old, new, 1)

    return edit


@dataclass
class Stage:
    """The benchmark's user. Nothing is made before a row asks for it."""

    c: Context
    yes: bool = False
    _open: list[AbstractContextManager[Scratch]] = field(default_factory=list)
    _shas: dict[str, str] = field(default_factory=dict)

    @cached_property
    def user(self) -> Scratch:
        """The checkout; its environment `bench-...` is reached through a node port on loopback."""
        from tasks.lib import lab

        opened = scratch(self.c, "bench", lab.up(self.c), values={"service": {"type": "NodePort"}})
        self._open.append(opened)
        user = opened.__enter__()
        self._shas["a"] = user.git("rev-parse", "HEAD")
        return user

    def close(self) -> None:
        """Removes the checkout and all that it left in the lab."""
        while self._open:
            self._open.pop().__exit__(None, None, None)
            self.__dict__.pop("user", None)
            self._shas.clear()

    @property
    def namespace(self) -> str:
        return f"slipway-{self.user.env}"

    def release(self, name: str, edits: Mapping[str, Edit] | None = None, onto: str = "a") -> str:
        """A release, scanned and built when it is first asked for: `a`, or edits on top of another one."""
        env = self.user.env
        if name != "a" and name not in self._shas:
            with terminal.step(f"Prepare release {name}"):
                self._shas[name] = self.user.release(edits or {}, f"bench {name}", self.release(onto))
        elif name == "a" and "a:built" not in self._shas:
            with terminal.step("Prepare release a"):
                self.user.inv("scan", "--env", env, "build", "--env", env, "deploy", "--env", env)
            self._shas["a:built"] = "yes"
        return self._shas[name]

    def b(self) -> str:
        """The release after `a`, pushed: one line of the service differs."""
        sha = self.release("b", {APP: swap(TEXT, "Says how late it is")})
        self.user.inv("push", "--env", self.user.env, "--release", sha)
        return sha

    def deploy(self, sha: str) -> float:
        """Seconds that `./inv deploy` takes; holds of earlier rollbacks do not count."""
        words = ["--env", self.user.env, "--release", sha, "--lift-hold", "benchmark"]
        return self.timed(lambda: self.user.inv("deploy", *words))

    def return_to_a(self) -> None:
        """Whatever row came before, `a` runs after this."""
        sha = self.release("a")
        words = ["--namespace", self.namespace, "get", "deployment", "slipway-service"]
        running = self.user.kubectl(*words, "--output=jsonpath={.spec.template.metadata.annotations.slipway/revision}")
        if running != sha:
            self.rollback(sha)

    def rollback(self, sha: str) -> float:
        """Seconds that `./inv rollback` takes."""
        return self.timed(lambda: self.user.inv("rollback", "--env", self.user.env, "--to", sha))

    def raw_deploy(self, sha: str) -> float:
        """Seconds that git push, refresh and a kubectl loop take for the same."""
        clone = self.user.folder.parent / "raw"
        if not clone.exists():
            self.user.git("clone", "--quiet", self.user.lab.git_url, str(clone))
        digest = registry.digest(self.c, f"{self.user.repository}:{sha}")
        kubectl = [tools.path(self.c, "kubectl"), f"--kubeconfig={self.user.lab.kubeconfig}"]
        settings = {
            "CLONE": str(clone),
            "VALUES": f"gitops/environments/{self.user.env}/values.yaml",
            "REVISION": sha,
            "DIGEST": digest,
            "APPLICATION": f"slipway-{self.user.env}",
            "NAMESPACE": self.namespace,
            "KUBECTL": " ".join(str(word) for word in kubectl),
        }
        return self.timed(lambda: self.script("raw_deploy.sh", settings))

    def script(self, name: str, settings: Mapping[str, str]) -> None:
        """Runs one of the raw scripts."""
        run(self.c, ["sh", DATA / name], step=name, timeout=RAW_SECONDS, env=settings, quiet=True)

    @staticmethod
    def timed(work: Callable[[], Any]) -> float:
        """Seconds of one call."""
        began = time.monotonic()
        work()
        return time.monotonic() - began


def median(values: list[float]) -> float:
    """The middle one: one hiccup of the machine does not decide a row."""
    return statistics.median(values)


def spread(values: list[float]) -> str:
    """All single values, for the notes."""
    return ", ".join(f"{value:.2f}" for value in values)
