"""The pages of docs/runbooks: found by name, with the environment filled in."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from tasks.lib import paths
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import EksCluster, Environment, LabCluster

FOLDER = paths.ROOT / "docs" / "runbooks"
PARTS = ("Symptom", "First three looks", "Decisions", "Commands", "What you should see")
# Shell variables, so that a line of the page is a line to type as it is, once they are exported.
ENV, CONTEXT = "$SLIPWAY_ENV", "$SLIPWAY_CONTEXT"
LOOKS = f"## {PARTS[1]}\n"
LINK = re.compile(r"\[([^]]+)]\(([\w-]+)\.md\)")


@dataclass(frozen=True)
class Page:
    """One runbook. name: of its file, which is that of the alert."""

    name: str
    text: str

    def first_line(self, env: str = "") -> str:
        """What it is about; env: the environment to name."""
        _, _, rest = self.text.partition("\n\n")
        return rest.partition("\n")[0].replace(f"`{ENV}`", env or "the environment")


def pages(folder: Path = FOLDER) -> list[Page]:
    """All runbooks: those of alerts first, then what is done by hand, each by name."""
    found = (Page(path.stem, path.read_text(encoding="utf-8")) for path in folder.glob("*.md"))
    return sorted((page for page in found if page.name != "README"), key=lambda page: page.name)


def find(name: str, folder: Path = FOLDER) -> Page:
    """The runbook of this name, whatever its case and hyphens. Raises Stop (2) that names the near ones."""
    known = {_plain(page.name): page for page in pages(folder)}
    wanted = _plain(name)
    if wanted in known:
        return known[wanted]
    holding = [one for one in known if len(wanted) > 2 and wanted in one]
    near = dict.fromkeys([*holding, *difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)])
    names = [known[one].name for one in near or known]
    raise Stop(
        f"there is no runbook '{name}'; {'near' if near else 'there are'}: {', '.join(names)}",
        Code.USAGE,
        f"./inv runbook {names[0]}" if near else "./inv runbook",
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def filled(page: Page, env: Environment | None) -> str:
    """The page's Markdown as a terminal needs it: the environment in its lines, other pages as lines to type.

    env: None leaves the shell variables, and says first what to set them to.
    """
    text = LINK.sub(lambda link: _line(link[1], link[2]), page.text)
    before = _before_kubectl(env) if "kubectl " in text else ""
    if env is None:
        before = f"export {ENV[1:]}=production {CONTEXT[1:]}=production    # which environment; what kubectl calls it"
    if before:
        text = text.replace(LOOKS, f"{LOOKS}\nOnce per terminal:\n\n```sh\n{before}\n```\n", 1)
    return text if env is None else text.replace(ENV, env.name).replace(CONTEXT, context(env))


def _line(words: str, name: str) -> str:
    line = f"`./inv runbook {name} --env {ENV}`"
    return line if words == name else f"{words} ({line})"


def context(env: Environment) -> str:
    """What kubectl calls the environment's cluster."""
    if isinstance(env.cluster, LabCluster):
        from tasks.lib.lab import layout

        return layout.CONTEXT
    return env.name if isinstance(env.cluster, EksCluster) else env.cluster.context  # infra.kubeconfig names it so


def _before_kubectl(env: Environment | None) -> str:
    """What kubectl needs to find the cluster, as a line to type; '' where a person's own kubeconfig has it."""
    if env is None:
        return ""
    if isinstance(env.cluster, LabCluster):
        from tasks.lib.lab import layout

        return f"export KUBECONFIG={layout.home().kubeconfig}"
    if isinstance(env.cluster, EksCluster):
        return f"./inv infra.kubeconfig --env {env.name}    # then type the line that it prints"
    return f"export KUBECONFIG={env.cluster.kubeconfig}" if env.cluster.kubeconfig else ""
