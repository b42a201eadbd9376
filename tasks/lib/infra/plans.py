"""Saved plans: made, bound to commit, environment and variables, and looked at again before anything is applied."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from tasks.lib import terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.infra import gitlab_report, planfile
from tasks.lib.infra import place as places
from tasks.lib.infra.place import Place
from tasks.lib.infra.planfile import Plan
from tasks.lib.infra.terraform import Terraform

PLAN, BINDING, REPORT = "tfplan", "binding.json", "gitlab.json"
_read: dict[str, Plan] = {}  # by the digest of the file: to show one, Terraform starts every provider


class Binding(BaseModel):
    """What a saved plan is of; all of it must still hold when it is applied."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str
    account: str
    region: str
    state: str
    commit: str
    source: str
    variables: str
    plan: str
    made: AwareDatetime
    destroys: bool


def make(terraform: Terraform, destroy: bool = False, lock: bool = True) -> Plan:
    """Plans and saves; nothing outside changes. Raises Stop.

    destroy: a plan that takes everything away. lock: False where these credentials may not write beside the state.
    """
    place = terraform.place
    shutil.rmtree(place.saved, ignore_errors=True)  # an old plan must not outlive the wish for a new one
    place.saved.mkdir(parents=True, mode=0o700)
    file = place.saved / PLAN
    words = ["-detailed-exitcode", f"-out={file}", terraform.waiting if lock else "-lock=false", *terraform.values]
    with terminal.step(f"Plan {place.name}"):
        terraform.lines("plan", *words, *(["-destroy"] if destroy else []), step="infra.plan", ok=(0, 2))
        file.chmod(0o600)  # a plan holds every value of the state, also those that are never shown
        plan = read(terraform, file)
    binding = _bind(place, file, destroy)
    (place.saved / REPORT).write_text(json.dumps(gitlab_report.of(plan)), encoding="utf-8")
    (place.saved / BINDING).write_text(binding.model_dump_json(indent=1), encoding="utf-8")
    return plan


def read(terraform: Terraform, file: Path) -> Plan:
    """What a saved plan would do. Terraform is asked once per process and content of the file."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest not in _read:
        _read[digest] = planfile.read(terraform.ask("show", "-json", "-no-color", file, step="infra: read the plan"))
    return _read[digest]


def _bind(place: Place, file: Path, destroy: bool) -> Binding:
    return Binding(
        environment=place.name,
        account=place.infra.account_id,
        region=place.infra.region,
        state=place.state,
        commit=place.commit,
        source=places.source_digest(place),
        variables=places.variables_digest(place),
        plan=hashlib.sha256(file.read_bytes()).hexdigest(),
        made=datetime.now(timezone.utc),
        destroys=destroy,
    )


def load(place: Place) -> Binding:
    """The binding of the saved plan, held against what is now. Raises Stop (5) and says what differs."""
    fix = f"./inv infra.plan --env {place.name}"
    file, binding = place.saved / PLAN, place.saved / BINDING
    if not (file.is_file() and binding.is_file()):
        raise Stop(f"infra.apply: there is no saved plan of {place.name}", Code.REFUSED, fix)
    try:
        saved = Binding.model_validate_json(binding.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise Stop(f"infra.apply: {BINDING} beside the saved plan is damaged", Code.REFUSED, fix) from error
    now = _bind(place, file, destroy=False)
    if why := differs(saved, now, timedelta(hours=place.infra.plan_hours)):
        raise Stop(f"infra.apply: the saved plan {why}", Code.REFUSED, fix)
    return saved


def differs(saved: Binding, now: Binding, oldest: timedelta) -> str:
    """Why a plan may not be applied now, as the end of a sentence; '' when it may."""
    if saved.environment != now.environment:
        return f"is of environment {saved.environment}, not of {now.environment}"
    if (saved.account, saved.region) != (now.account, now.region):
        return f"is for account {saved.account} in {saved.region}, not for {now.account} in {now.region}"
    if saved.state != now.state:
        return f"is of the state {saved.state}, not of {now.state}"
    if saved.commit != now.commit:
        return f"is of commit {saved.commit[:12]}, and this is {now.commit[:12]}"
    if saved.source != now.source:
        return "is of other Terraform files than are here now"
    if saved.variables != now.variables:
        return "was made with other variables"
    if saved.plan != now.plan:
        return "is not the file that was planned (its digest differs)"
    if saved.destroys != now.destroys:
        return "takes everything away; infra.destroy makes and applies such plans"
    if now.made - saved.made > oldest:
        return f"is stale: made {saved.made:%Y-%m-%d %H:%M} UTC, and {oldest.total_seconds() / 3600:.0f} h is the limit"
    return ""


def forget(place: Place) -> None:
    """Removes the saved plan: what was applied once cannot be applied again."""
    shutil.rmtree(place.saved, ignore_errors=True)
