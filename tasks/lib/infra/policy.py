"""Our rules for AWS, as data (policy_rules.yaml): asked of the plan where there is one, else of the files' text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.lib import terminal
from tasks.lib.gates import waiver_rules, waivers
from tasks.lib.gates.models import Finding
from tasks.lib.infra import conditions, subjects
from tasks.lib.infra.planfile import Plan
from tasks.lib.infra.rules import Check, Model, Rule, rules
from tasks.lib.infra.subjects import Subject
from tasks.lib.settings import Severity

GATE = waivers.INFRA
CHECKOV = "CKV"  # how the ids of checkov's rules begin; their waivers are no business of ours


class Violation(Model):
    """A rule that a resource breaks."""

    rule: str
    severity: Severity
    address: str
    title: str
    reason: str
    fix: str
    seen_in: Literal["plan", "text"]
    file: str = ""

    @property
    def finding(self) -> Finding:
        """As waivers know it: `id` is the rule, `package` the resource's address."""
        return Finding(id=self.rule, severity=self.severity, title=self.title, package=self.address, file=self.file)


class Judged(Model):
    """What the rules say of a plan or of files."""

    asked: int = Field(0, description="answers that were had, one per rule and resource")
    violations: list[Violation] = Field([], description="broken and not waived, the worst first")
    waived: list[Violation] = Field([], description="broken, and accepted for a while")
    open: list[Violation] = Field([], description="could not be judged: a value is known only later")
    faults: list[str] = Field([], description="waivers for this gate that do not hold, or that nothing here needs")


def check(plan: Plan | None, folder: Path, variables: Path | None = None, environment: str = "") -> list[Violation]:
    """The rules that are broken and not waived, the worst first; parameters as those of `judge`."""
    return judge(plan, folder, variables, environment).violations


def judge(plan: Plan | None, folder: Path, variables: Path | None = None, environment: str = "") -> Judged:
    """Asks every rule of the plan, and of the text what only the text can say; without a plan, of the text.

    folder: the Terraform root. variables: the tfvars that count without a plan. environment: whose waivers count; ''
    takes the plan's. What the plan shows wins: the text of a resource that is in the plan, or that a whole plan leaves
    out, is not asked. Raises Stop: 2 where files cannot be read, 3 where the waivers cannot.
    """
    found = subjects.of(plan, folder, variables)
    facts = plan.facts if plan else subjects.facts(folder, variables)
    judged = [
        (answer, _violation(rule, subject))
        for rule in rules()
        if rule.when == "always" or getattr(facts, rule.when)
        for answer, subject in _answers(rule, found)
    ]
    # Two checks of one rule may say the same of one resource.
    said = dict.fromkeys(one for answer, one in judged if answer == "broken")
    broken = sorted(said, key=_worst_first)
    not_known = [one for answer, one in judged if answer == "open"]
    accepted = waived(broken, not_known, environment or facts.environment, lambda rule: not rule.startswith(CHECKOV))
    return accepted.model_copy(update={"asked": len(judged)})


def _worst_first(one: Violation) -> tuple[int, str, str]:
    return list(Severity).index(one.severity), one.rule, one.address


def _answers(rule: Rule, found: Sequence[Subject]) -> Iterator[tuple[str, Subject]]:
    for check in rule.checks:
        for subject in found:
            if ("*" in check.on or subject.type in check.on) and check.reads in ("either", subject.seen_in):
                yield _answer(check, subject, found), subject


def _answer(check: Check, subject: Subject, found: Sequence[Subject]) -> str:
    """`kept`, `broken`, or `open` where a value is not known yet."""
    if check.companion:
        asked, sure = subjects.companions(subject, found, check.companion.type, check.companion.by)
        answers = [_one(check, one) for one in asked]
        return "kept" if "kept" in answers else "open" if "open" in answers or not sure else "broken"
    said = _one(check, subject)
    if said == "open" and subject.seen_in == "plan":  # it shows nothing, so the text may speak
        written = [one for one in found if one.seen_in == "text" and one.address == subject.written]
        return _one(check, written[0]) if written else said
    return said


def _one(check: Check, subject: Subject) -> str:
    expression = conditions.compiled(check.breaks or check.needs)
    holds = conditions.ask(expression, subject.values)
    if holds:
        return "broken" if check.breaks else "kept"
    looked_at = conditions.fields(expression.parsed)
    if conditions.unknown(subject.values, looked_at) and not (check.unset_breaks and subject.seen_in == "plan"):
        return "open"
    return "kept" if check.breaks else "broken"


def _violation(rule: Rule, subject: Subject) -> Violation:
    told = {name: getattr(rule, name) for name in ("severity", "title", "reason", "fix")}
    return Violation(rule=rule.id, address=subject.address, seen_in=subject.seen_in, file=subject.file, **told)


def waived(
    broken: list[Violation], not_known: list[Violation], environment: str, ours: Callable[[str], bool]
) -> Judged:
    """What is left of findings once the waivers for `infra` are applied. ours: whether a waiver of this id counts.

    Raises Stop (3) where the waivers cannot be read.
    """
    named = [one for one in waivers.load().waivers if GATE in one.applies and ours(one.id)]
    known = {environment, *(name for one in named for name in one.environments)}
    told = [(one, waiver_rules.faults([one], known, waivers.today())) for one in named]
    good = [one for one, faults in told if not faults]
    covered = [one for one in broken if any(_accepts(waiver, one, environment) for waiver in good)]
    unused = [
        f"{waivers.FILE}: the waiver of {one.id} for {one.subject} matches nothing here; take it out"
        for one in good
        if not one.environments or environment in one.environments
        if not any(one.about(each.finding) for each in (*broken, *not_known))
    ]
    return Judged(
        violations=[one for one in broken if one not in covered],
        waived=covered,
        open=not_known,
        faults=[*(fault for _, faults in told for fault in faults), *unused],
    )


def _accepts(waiver: waivers.Waiver, one: Violation, environment: str) -> bool:
    return waiver.covers(GATE, environment, one.finding) and not waiver.too_long_for(one.finding)


def show(violations: Sequence[Violation]) -> None:
    """Prints what is broken, why it matters and what to write instead, the worst first."""
    for one in violations:
        place = f" ({one.file})" if one.file else ""
        terminal.bad(f"{one.severity.value} {one.rule} {one.address}{place}: {one.title}")
        terminal.say(f"    why: {one.reason}")
        terminal.say(f"    fix: {one.fix}")


__all__ = ["Judged", "Rule", "Violation", "check", "judge", "rules", "show"]
