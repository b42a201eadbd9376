"""lab.up --rehearse: environments of elsewhere that this lab hosts for a while, each in a namespace of its own."""

from __future__ import annotations

from tasks.lib import rehearsal, settings, terminal
from tasks.lib.errors import Code, Stop


def names(text: str) -> list[str]:
    """The environments of a list by comma. Raises Stop (2) for one that does not exist or is the lab's anyway."""
    found = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in found:
        env = settings.load(name)
        if env.cluster.kind == "lab" and not env.rehearsed:
            raise Stop(f"{name} runs in the lab anyway", Code.USAGE, f"./inv deploy --env {name}")
        if env.promotion:
            before = settings.load(env.promotion.from_)
            if before.cluster.kind != "lab" and before.name not in found:
                fix = f"./inv lab.up --rehearse {before.name},{','.join(found)}"
                raise Stop(f"{name} takes releases from {before.name}, which is not rehearsed", Code.USAGE, fix)
    return found


def begin(found: list[str]) -> None:
    """From now on these environments are the lab's, for every task on this machine."""
    if not found:
        return
    gates = settings.load("local").gates.model_dump(mode="json")
    rehearsal.begin(found, gates)
    for name, namespace in hosted().items():
        terminal.say(f"{name} is rehearsed here, in namespace {namespace}")
    terminal.say("  cluster, registry, Git remote and signing key are the lab's; databases count as for local")
    terminal.say("  until ./inv lab.down, nothing that is typed on this machine reaches the real ones")


def hosted() -> dict[str, str]:
    """The namespaces of the environments that are rehearsed, by name."""
    return {name: f"slipway-{name}" for name in rehearsal.overrides()}
