"""Everything of an environment taken away: who may, what is asked, and that nothing is left."""

from __future__ import annotations

from collections.abc import Collection

from tasks.lib import terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.infra.place import Place
from tasks.lib.infra.planfile import Plan
from tasks.lib.infra.terraform import Terraform
from tasks.lib.settings import Environment


def allow(env: Environment, i_know: bool, typed: Collection[str]) -> None:
    """Refuses (Stop 5) a protected environment unless somebody said --i-know and typed its name."""
    if env.protected and not (i_know and env.name in typed):
        raise Stop(
            f"infra.destroy: {env.name} is protected; nothing was changed",
            Code.REFUSED,
            f"./inv infra.destroy --env {env.name} --i-know --confirm NAME, with the environment's name",
        )


def agree(place: Place, plan: Plan, yes: bool) -> None:
    """Asks. What holds state is named once more: it is all that cannot be made again."""
    for change in plan.losses:
        terminal.warn(f"{change.address}: lost for good is {change.loses}")
    if place.env.ask:
        terminal.confirm(f"Destroy all of {place.name} ({place.infra.account_id}, {place.infra.region})?", yes)


def verify(terraform: Terraform) -> None:
    """Asks the state whether anything is left. Raises Stop (4) naming it."""
    left = terraform.ask("state", "list", "-no-color", step="infra.destroy: read the state").split()
    if left:
        named = ", ".join(left[:5])
        raise Stop(
            f"infra.destroy: {len(left)} resources are left: {named}",
            Code.COULD_NOT_RUN,
            f"./inv infra.destroy --env {terraform.place.name}",
        )
