"""One user with a checkout, a few releases good and bad, and an environment of the lab; looked at from outside."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from invoke.runners import Result

from tasks.lib.bench.scratch import Edit, Scratch

CHART = "k8s/helm/values.yaml"
SERVICE = "service/slipway_service/app.py"


def swap(old: str, new: str) -> Callable[[str], str]:
    """An edit that must find what it replaces."""

    def edit(text: str) -> str:
        assert old in text, f"{old!r} is not there any more; mend the test"
        return text.replace(old, new, 1)

    return edit


TEXT = "Tells the time in any zone"
SIZE = "requests: { cpu: 100m, memory: 128Mi }\n  limits: { cpu: 200m"
# What each release changes, on top of which other one; each of them passes the real gates.
RELEASES: dict[str, tuple[str, dict[str, Edit]]] = {
    "b": ("a", {SERVICE: swap(TEXT, "Says how late it is"), CHART: swap("threads: 8", "threads: 4")}),
    "c": ("b", {SERVICE: swap("Says how late it is", "Knows how late it is")}),
    "unready": ("a", {CHART: swap("unready: false", "unready: true")}),
    "huge": ("a", {CHART: swap(SIZE, SIZE.replace("100m", "64").replace("200m", "64"))}),
    "errors": ("a", {CHART: swap("errors: 0", "errors: 1")}),
    "crash": ("a", {"service/gunicorn.conf.py": lambda text: text + '\nraise SystemExit("broken on purpose")\n'}),
}


@dataclass
class World:
    """`a` is delivered already when a test gets this."""

    scratch: Scratch
    shas: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> str:
        return self.scratch.env

    @property
    def namespace(self) -> str:
        return f"slipway-{self.env}"

    # ------------------------------------------------------------------------------------------------ acting

    def inv(self, *words: str, ok: Collection[int] = (0,), env: str = "") -> Result:
        """Runs one task on the environment."""
        return self.scratch.inv(words[0], "--env", env or self.env, *words[1:], ok=ok)

    def sha(self, name: str) -> str:
        """The release of this name, built when it is first asked for."""
        if name not in self.shas:
            onto, edits = RELEASES[name]
            parent = self.sha(onto)
            self.shas[name] = self.scratch.release(edits, f"release {name}", parent)
        return self.shas[name]

    def deploy(self, name: str, *words: str, ok: Collection[int] = (0,)) -> Result:
        """Deploys a release; holds that earlier tests left do not count."""
        return self.inv("deploy", "--release", self.sha(name), "--lift-hold", "the next test", *words, ok=ok)

    def given(self, name: str) -> str:
        """Makes this release run, from wherever the test before left the environment; its SHA."""
        sha = self.sha(name)
        if self.pinned() != sha or self.trouble(sha):
            done = self.deploy(name, ok=(0, 5))
            if done.exited:  # superseded: the one that runs is newer
                self.inv("rollback", "--to", sha)
        return sha

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A task in the background, in a process group of its own; read its stdout."""
        argv = self.scratch.command(words[0], "--env", self.env, *words[1:])
        return subprocess.Popen(
            argv,
            cwd=self.scratch.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    # ------------------------------------------------------------------------------------------------ looking

    def get(self, *words: str, namespace: str = "") -> dict[str, Any]:
        """`kubectl get` as data; {} when there is no such thing."""
        text = self.scratch.kubectl(
            "get", "--namespace", namespace or self.namespace, *words, "--ignore-not-found", "--output=json"
        )
        found: dict[str, Any] = json.loads(text or "{}")
        return found

    def pinned(self, env: str = "") -> str:
        """The SHA that the remote pins, read with plain Git."""
        self.scratch.git("fetch", "--quiet", self.scratch.lab.git_url, "main")
        text = self.scratch.git("show", f"FETCH_HEAD:gitops/environments/{env or self.env}/values.yaml")
        return str(json.loads(text)["release"]["revision"])

    def log(self, env: str = "") -> list[dict[str, str]]:
        """The environment's events in the remote, newest first, as {trailer: value}."""
        self.scratch.git("fetch", "--quiet", self.scratch.lab.git_url, "main")
        grep = f"--grep=^Slipway-Environment: {env or self.env}$"
        text = self.scratch.git("log", "--format=%(trailers:only,unfold)%x1e", grep, "FETCH_HEAD")
        blocks = filter(None, (block.strip() for block in text.split("\x1e")))
        return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]

    def application(self, env: str = "") -> dict[str, Any]:
        return self.get("application", f"slipway-{env or self.env}", namespace="argocd")

    def deployment(self) -> dict[str, Any]:
        return self.get("deployment", "slipway-service")

    def threads(self) -> str:
        """A value of the chart as it arrived in the pods."""
        (container,) = self.deployment()["spec"]["template"]["spec"]["containers"]
        return next(str(item["value"]) for item in container["env"] if item["name"] == "SLIPWAY_THREADS")

    def answers(self, namespace: str = "") -> dict[str, str]:
        """The commit that every pod names on /version, by pod; pods on their way out do not count."""
        place = namespace or self.namespace
        pods = self.get("pods", "--selector=app.kubernetes.io/name=slipway-service", namespace=place)["items"]
        names = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        path = f"/api/v1/namespaces/{place}/pods/{{}}:5000/proxy/version"
        asked = {name: self.scratch.kubectl("get", "--raw", path.format(name), ok=(0, 1)) for name in names}
        return {name: str(json.loads(text or "{}").get("commit")) for name, text in asked.items()}

    def trouble(self, sha: str, env: str = "") -> str:
        """What keeps Git, Argo CD and every pod from agreeing on this release; '' when they do."""
        name = env or self.env
        if self.pinned(name) != sha:
            return f"Git pins {self.pinned(name)}"
        app = self.application(name)
        said = (
            app["spec"]["source"]["targetRevision"],
            app["status"]["sync"].get("revision"),
            app["status"]["sync"]["status"],
            app["status"]["health"]["status"],
        )
        if said != (sha, sha, "Synced", "Healthy"):
            return f"the Application says {said}"
        answers = self.answers(f"slipway-{name}")
        return "" if set(answers.values()) == {sha} and len(answers) >= 2 else f"the pods say {answers}"

    def agree(self, sha: str, env: str = "") -> None:
        """Fails unless Git, Argo CD and every pod agree on this release at this moment."""
        assert self.trouble(sha, env) == ""

    def comes(self, what: str, check: Callable[[], bool], seconds: float = 60.0) -> float:
        """Waits for something that the cluster does by itself; how many seconds it took."""
        began = time.monotonic()
        while not check():
            assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s"
            time.sleep(0.5)
        return time.monotonic() - began
