"""GitLab's report of a plan, shown in the merge request: three counts, and nothing of the plan itself.

https://docs.gitlab.com/user/infrastructure/iac/mr_integration/ (artifacts:reports:terraform). Everybody with the role
Guest can read artifacts of a public pipeline, so no address, name or value belongs in here.
"""

from __future__ import annotations

from tasks.lib.infra.planfile import Action, Plan


def of(plan: Plan) -> dict[str, int]:
    """Exactly `create`, `update` and `delete`; a replacement is one created and one deleted, as Terraform counts."""
    counts = plan.counts
    replaced = counts.get(Action.REPLACE, 0)
    return {
        "create": counts.get(Action.CREATE, 0) + replaced,
        "update": counts.get(Action.UPDATE, 0),
        "delete": counts.get(Action.DELETE, 0) + replaced,
    }
