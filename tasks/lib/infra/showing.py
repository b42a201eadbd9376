"""What a person sees of a plan: what changes, what it costs, which rules it breaks, what a killed run left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from invoke.context import Context

from tasks.lib import terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.infra import applying, configuration, plan_summary, plans, policy, prices
from tasks.lib.infra.place import Place
from tasks.lib.infra.planfile import Plan
from tasks.lib.infra.policy import Judged, Violation
from tasks.lib.infra.terraform import Terraform, ready


@contextmanager
def ahead(place: Place) -> Iterator[None]:
    """Reads files, rules and prices while Terraform works inside; the process keeps them for the judgement after it.

    What cannot be read is told by whoever asks for it then. An exception from inside does not wait.
    """

    def read() -> None:
        with suppress(Exception):
            policy.rules()
            prices.load()
            configuration.read(place.root, place.variables)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    yield
    thread.join()


def plan(place: Place, found: Plan) -> None:
    """The summary with what it would cost; the dangerous changes come first."""
    plan_summary.show(found, prices.estimate(found, place.infra.region))


def violations(place: Place, found: Plan | None) -> list[Violation]:
    """Rules that the files, or the plan, break; what is waived is told."""
    return tell(policy.judge(found, place.root, place.variables, place.name))


def tell(judged: Judged) -> list[Violation]:
    """Says what is waived or not known yet; returns what is broken."""
    for fault in judged.faults:
        terminal.warn(f"waiver: {fault}")
    if judged.waived:
        terminal.say(f"waived: {', '.join(f'{one.rule} {one.address}' for one in judged.waived)}")
    if judged.open:  # neither a pass nor a finding, so it is said
        rules = ", ".join(sorted({one.rule for one in judged.open}))
        terminal.say(f"{len(judged.open)} of {judged.asked} answers of the policy are known only later: {rules}")
    return judged.violations


def refuse(broken: list[Violation], env: str) -> None:
    """Shows broken rules and ends with them. Raises Stop (3)."""
    if not broken:
        return
    policy.show(broken)
    raise Stop(f"{env}: {len(broken)} rules of the infrastructure are broken", Code.FINDINGS, "docs/infrastructure.md")


def saved(c: Context, place: Place) -> Plan | None:
    """The saved plan if it is of what is here now."""
    try:
        plans.load(place)
    except Stop:
        return None
    with ready(c, place) as terraform:
        return plans.read(terraform, place.saved / plans.PLAN)


def unrecorded(terraform: Terraform) -> None:
    """Says what a killed apply made and the state does not know."""
    left = applying.unrecorded(terraform)
    if left:
        terminal.warn("the last apply was killed; it had made these, and the state does not know them:")
        terminal.table("", ("resource", "id"), left)
