"""checkov over the Terraform root: what it complains of is fixed, or accepted for a while by a waiver."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from invoke.context import Context
from pydantic import BaseModel, Field, ValidationError

from tasks.lib import terminal, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.infra import policy
from tasks.lib.infra.place import Place
from tasks.lib.infra.policy import CHECKOV, Judged, Violation
from tasks.lib.runner import run
from tasks.lib.settings import Severity

STEP = "infra.checkov"
SECONDS = 600.0
SETTINGS = ("CKV_", "CHECKOV_", "BC_", "PRISMA_")  # variables and files of the machine were not reviewed
# No key, no questions to its makers: what it says depends on its version and the files alone.
OFFLINE = {"BC_SKIP_MAPPING": "TRUE", "CHECKOV_RUN_SCA_PACKAGE_SCAN_V2": "false"}
WAIVER = "or accept it for a while in gitops/waivers.yaml, applies: [infra]"


class Check(BaseModel):
    """One answer of checkov about one resource."""

    check_id: str
    check_name: str = ""
    resource: str
    file_path: str = ""
    file_line_range: list[int] = []

    def violation(self, title: str = "", fix: str = "") -> Violation:
        """As the policy tells of its own. checkov without a key knows no severity: all are the same."""
        line = f":{self.file_line_range[0]}" if self.file_line_range else ""
        return Violation(
            rule=self.check_id,
            severity=Severity.MEDIUM,
            address=self.resource,
            title=title or self.check_name,
            reason=f"checkov's rule {self.check_id}",
            fix=fix or f"do what its title says, {WAIVER}",
            seen_in="text",
            file=f"{self.file_path.lstrip('/')}{line}",
        )


class Results(BaseModel):
    passed_checks: list[Check] = []
    failed_checks: list[Check] = []
    skipped_checks: list[Check] = []
    parsing_errors: list[str] = []


class Report(BaseModel):
    """What `checkov --output json` prints for one framework."""

    check_type: str = Field(pattern="^terraform$")
    results: Results


def judge(c: Context, place: Place) -> Judged:
    """What checkov finds in the files with this environment's variables, waivers applied. Raises Stop (4)."""
    program = tools.path(c, "checkov")
    with tempfile.TemporaryDirectory(prefix="slipway-checkov-") as folder, terminal.step("Look with checkov"):
        report = _ask(c, program, place, Path(folder))
    found = report.results
    if found.parsing_errors or not found.passed_checks:
        left_out = ", ".join(Path(name).name for name in found.parsing_errors) or place.root.name
        raise Stop(f"{STEP}: checkov could not read {left_out}", Code.COULD_NOT_RUN, "terraform validate")
    broken = sorted(_violations(found), key=lambda one: (one.rule, one.address))
    judged = policy.waived(broken, [], place.name, lambda rule: rule.startswith(CHECKOV))
    return judged.model_copy(update={"asked": len(found.passed_checks) + len(found.failed_checks)})


def _ask(c: Context, program: Path, place: Place, scratch: Path) -> Report:
    settings = scratch / "nothing.yaml"
    settings.write_text("{}\n", encoding="utf-8")
    words: list[str | Path] = [*_clean(), program, "--directory", place.root, "--framework", "terraform"]
    words += ["--var-file", place.variables, "--config-file", settings]
    words += ["--output", "json", "--compact", "--skip-download", "--soft-fail", "--download-external-modules", "false"]
    env = {**OFFLINE, "HOME": str(scratch)}
    result = run(c, words, step=STEP, timeout=SECONDS, cwd=scratch, env=env, quiet=True)
    try:
        return Report.model_validate(json.loads(result.stdout))
    except (ValueError, ValidationError) as error:
        text = f"{STEP}: what checkov printed is no report"
        raise Stop(text, Code.COULD_NOT_RUN, "./inv -e infra.checkov") from error


def _clean() -> list[Any]:
    found = sorted(name for name in os.environ if name.startswith(SETTINGS))
    return ["env", *(word for name in found for word in ("-u", name))] if found else []


def _violations(found: Results) -> Iterator[Violation]:
    for one in found.failed_checks:
        yield one.violation()
    for one in found.skipped_checks:  # without owner, approver and end
        yield one.violation("a comment switches the check off", f"take the comment out; fix it, {WAIVER}")
