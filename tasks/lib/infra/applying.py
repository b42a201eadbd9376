"""A saved plan applied: agreed to, run with its output in a file, and what became of it told whatever happens."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from tasks.lib import terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.infra import messages, plans
from tasks.lib.infra.following import followed
from tasks.lib.infra.place import Place
from tasks.lib.infra.planfile import Change, Plan
from tasks.lib.infra.terraform import CHANGE_SECONDS, Terraform

LOG = "apply.jsonl"  # what the last apply did; it outlives a plan
NAMES = ("identifier", "bucket", "name", "id")  # attributes by which a person knows a resource, best first


def known_as(change: Change) -> str:
    """The name of the real thing, as AWS's console shows it; its address where it has none."""
    return next((str(change.before[name]) for name in NAMES if change.before.get(name)), change.address)


def agree(place: Place, plan: Plan, yes: bool, typed: Iterable[str]) -> None:
    """Asks for the whole, and by name for each resource with state that would be lost.

    typed: names given beforehand (--confirm). Raises Stop: refused (5) when a name was not typed or the answer is No.
    """
    given = set(typed)
    for change in plan.losses:
        names = {change.address, known_as(change)}
        if names & given:
            continue
        lost = f"{change.address} ({known_as(change)}) would be {change.action.value}d; lost: {change.loses}"
        if terminal.is_terminal() and terminal.ask(f"{lost}. Type its name to agree") in names:
            continue
        fix = f"./inv infra.apply --env {place.name} --confirm {known_as(change)}"
        raise Stop(f"infra.apply: {lost}. Its name was not typed; nothing was changed", Code.REFUSED, fix)
    if place.env.ask:
        terminal.confirm(f"Apply this to {place.name} ({place.infra.account_id}, {place.infra.region})?", yes)


def apply(terraform: Terraform, plan: Plan, verb: str = "apply") -> None:
    """Applies the saved plan, then reads the world again, so that what AWS filled in by itself is no drift.

    Raises Stop (4, 5) with what was done before the cause; the plan is gone then, because it is no longer true.
    """
    place = terraform.place
    log = place.work / LOG
    log.unlink(missing_ok=True)
    with terminal.step(f"Apply to {place.name}") as note, followed(log, len(plan.acting), note):
        words: list[str | Path] = ["apply", "-json", "-no-color", terraform.waiting, place.saved / plans.PLAN]
        result = terraform.call(*words, step=f"infra.{verb}", timeout=CHANGE_SECONDS, log=log)
    if result.exited == 0:
        plans.forget(place)
        log.unlink(missing_ok=True)
        if verb == "apply":
            _settle(terraform)
        return
    lines = list(messages.read(_text(log)))
    done = [line for line in lines if line.type == "apply_complete"]
    found = messages.errors(lines)
    stop = messages.stop(f"infra.{verb}", found, place.name, _text(log))
    if not done and any(messages.LOCKED in one.summary for one in found):
        raise stop  # nothing began; the plan is as good as before
    plans.forget(place)
    if not done:
        raise stop
    sentence = f"{stop.sentence}\n  {len(done)} of {len(plan.acting)} changes were made before that; the state has them"
    raise Stop(sentence, Code(stop.code), f"./inv infra.plan --env {place.name}")


def _settle(terraform: Terraform) -> None:
    """Takes over what providers read differently after the last change (a security group's rules, default settings)."""
    words = ["-refresh-only", "-auto-approve", terraform.waiting, *terraform.values]
    with terminal.step("Read the world again"):
        terraform.lines("apply", *words, step="infra.apply: read the world again")


def unrecorded(terraform: Terraform) -> list[tuple[str, str]]:
    """Address and id of what an apply that was killed had made and the state does not know.

    Terraform writes a remote state at most every 20 s; its output names each resource when it is made.
    """
    log = terraform.place.work / LOG
    if not log.exists():
        return []
    hooks = [line.hook for line in messages.read(_text(log)) if line.type == "apply_complete" and line.hook]
    made = {hook.resource.addr: hook.id_value for hook in hooks if hook.action == "create" and hook.id_value}
    recorded = _recorded(terraform) if made else set()
    return [(address, name) for address, name in made.items() if address not in recorded]


def _recorded(terraform: Terraform) -> Collection[str]:
    result = terraform.call("state", "list", "-no-color", step="infra: read the state")
    return set(result.stdout.split()) if result.exited == 0 else set()


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
