"""The fenced lines of the runbooks, and how each of them is proven: run in the lab, run by a test, or why it is not."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from tasks.lib import commands, runbooks, settings

FENCE = re.compile(r"^```(\w*)$")
# Lines that a person on call types in no harm's way: tests/lifecycle/test_runbooks.py runs them in the lab.
LOOKS = {
    "status",
    "smoke",
    "why",
    "runbook",
    "doctor",
    "gitops.drift",
    "gitops.sync",
    "gitops.wait",
    "gitops.install",
    "release.show",
    "release.verify",
}
# Lines that change an environment and are run in the lab, too, one of each form.
CHANGES = {"freeze", "rollback", "unfreeze", "deploy"}
# Tasks that another test runs already, with what they need: two environments, Terraform on moto, databases.
ELSEWHERE = {
    "promote": "tests/lifecycle/test_promote.py::test_a_release_soaks_and_is_promoted_and_a_freeze_stops_the_next",
    "scan.all": "tests/lifecycle/test_way.py::test_one_line_brings_the_first_commit_into_an_empty_environment",
    "scan.update": "tests/gates/test_update.py::test_the_local_platform_is_content_with_the_snapshot_and_says_so",
    "infra.bootstrap": "tests/infra/test_tasks.py::test_the_state_bucket_is_made_once_and_brought_back_to_order",
    "infra.plan": "tests/infra/test_plans.py::test_a_plan_is_applied_once_and_the_next_one_is_empty",
    "infra.apply": "tests/infra/test_plans.py::test_a_plan_is_applied_once_and_the_next_one_is_empty",
    "infra.drift": (
        "tests/infra/test_on_aws.py::test_apply_then_nothing_to_do_then_drift_then_a_replacement_then_gone"
    ),
    "infra.unlock": (
        "tests/infra/test_applying.py"
        "::test_after_a_kill_the_lock_is_told_taken_away_and_the_next_plan_says_what_is_left"
    ),
    "infra.kubeconfig": "tests/aws/test_eks.py::test_kubectl_gets_a_file_without_a_token_and_signs_one",
}
# Lines of other programs that no lab can run, by how they start (without the options that every kubectl line has).
OUTSIDE = {
    "export SLIPWAY_ENV": "sets two variables of the reader's shell",
    "aws s3api": "the state's bucket of a real account, and AWS's own program, which Slipway does not install",
    "cosign generate-key-pair": "asks for a password on a terminal; the lab's own pair is made by the same program",
    "mv cosign.pub": "replaces the key of the repository itself",
    "git commit": "commits the key of the repository itself",
    "kubectl get certificates": "needs cert-manager, which the lab has not",
    "kubectl describe certificates": "needs cert-manager, which the lab has not",
    "cmctl renew": "cert-manager's own program, and a certificate that it keeps",
    "kubectl logs --previous": "needs a container that restarted; those of the lab's service do not",
}
KUBECTL_LOOKS = {"get", "describe", "logs", "top"}
ANOTHER_POD = "delete pod NAME"  # the one change past Git: another pod of the same takes its place
WHERE = f"kubectl --context {runbooks.CONTEXT} "


def fenced(text: str, kind: str = "sh") -> Iterator[str]:
    """The lines of the fenced blocks of one kind."""
    inside = ""
    for line in text.splitlines():
        if found := FENCE.match(line):
            inside = "" if inside else found[1] or "(none)"
        elif inside == kind and line.strip():
            yield line


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def outside(line: str) -> str:
    """Why no lab can run a line; '' when one can."""
    form = " ".join(words(line))
    if line.startswith("kubectl "):
        rest = words(line)[3:]
        rest = rest[2:] if rest[:1] == ["-n"] else rest
        form = f"kubectl {' '.join(rest)}"
        if rest[:1] == ["logs"] and "--previous" in rest:
            form = "kubectl logs --previous"
    return next((why for start, why in OUTSIDE.items() if form.startswith(start)), "")


def wrong(line: str) -> str:
    """What is wrong with a line to type; '' when its task, options and environment exist, and somebody runs it."""
    if line.startswith("./inv"):
        if reason := commands.wrong(line, settings.known()):
            return reason
        unproven = set(commands.task_names(line)) - LOOKS - CHANGES - set(ELSEWHERE)
        return f"no test runs {', '.join(sorted(unproven))}" if unproven else ""
    if line.startswith("kubectl ") and not line.startswith(WHERE):
        return f"does not start with '{WHERE}': it would take any cluster"
    if outside(line):
        return ""
    if not line.startswith("kubectl "):
        return "neither a task, nor kubectl, nor listed with the reason why no lab can run it"
    looks = KUBECTL_LOOKS.intersection(words(line)) or ANOTHER_POD in line
    return "" if looks else "changes something past Git"
