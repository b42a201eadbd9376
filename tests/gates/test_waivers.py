"""Which findings a commit's own waivers accept, for how long, and what in them blocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone

import pytest
from invoke.context import Context

from tasks.lib import gates, paths, terminal
from tasks.lib.errors import Stop
from tasks.lib.gates import store, waivers
from tasks.lib.gates.models import Canary, Covered, Database, Finding, Outcome, Report, Verdict
from tasks.lib.settings import Environment, Severity
from tests.gates.conftest import Repo

TODAY = waivers.today()
PURL = "pkg:pypi/flask@1.0"
Write = Callable[..., str]


def finding(severity: Severity = Severity.HIGH, **changes: str) -> Finding:
    about = {
        "id": "CVE-2030-1",
        "title": "bad",
        "package": "Flask",
        "installed": "1.0",
        "fixed": "2.0",
        "file": "r.txt",
    }
    return Finding.model_validate({**about, "severity": severity, "purl": PURL, **changes})


def waiver(**changes: object) -> str:
    entry: dict[str, object] = {
        "id": "CVE-2030-1",
        "package": "flask",
        "applies": ["all"],
        "owner": "o",
        "approver": "a",
        "reason": "r",
        "created": TODAY,
        "expires": TODAY + timedelta(days=30),
        **changes,
    }
    lines = [f"    {key}: {value}" for key, value in entry.items() if value is not None]
    return "  -\n" + "\n".join(lines) + "\n"


@pytest.fixture
def judge(c: Context, env: Environment, repo: Repo) -> Callable[..., Verdict]:
    """judge(text of the waivers file, deps=[findings]) commits it, keeps a report of each gate, gives the verdict."""

    def run(text: str, *, required: tuple[str, ...] = gates.GATES, **found: list[Finding] | Report) -> Verdict:
        sha = repo.commit({waivers.FILE: text, "gitops/environments/production/values.yaml": "{}"})
        for gate in required:
            kept = found.get(gate, [])
            store.write(
                kept.model_copy(update={"commit": sha}) if isinstance(kept, Report) else report(gate, sha, kept)
            )
        return gates.judge(c, env, sha, required, repo.path)

    return run


def report(gate: str, sha: str = "", findings: list[Finding] | None = None, **changes: object) -> Report:
    made = Report(
        gate=gate,
        commit=sha,
        outcome=Outcome.FINDINGS if findings else Outcome.PASS,
        tool="tool",
        canary=Canary(planted=["one"], caught=["one"]),
        findings=findings or [],
        ended=datetime.now(timezone.utc),
    )
    return made.model_copy(update=changes)


def database(**changes: object) -> Database:
    known = Database(source="s", date=datetime.now(timezone.utc), digest="d", covers=["pip", "debian"])
    return known.model_copy(update=changes)


def why(verdict: Verdict) -> str:
    return "\n".join(one.why for one in verdict.blocked)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"applies": ["deps", "local"]}, ""),
        ({"expires": TODAY}, ""),
        ({"expires": TODAY + timedelta(days=90)}, ""),
        ({"package": None, "purl": "pkg:pypi/flask"}, ""),
        ({"package": None, "purl": "pkg:pypi/flask@1.0"}, ""),
        ({"package": None, "purl": "pkg:pypi/flask@1.1"}, "matches nothing"),
        ({"package": None, "purl": "pkg:deb/debian/flask"}, "matches nothing"),
        ({"package": None, "purl": "flask"}, "purl"),
        ({"package": None}, "needs either package or purl"),
        ({"purl": "pkg:pypi/flask"}, "needs either package or purl"),
        ({"applies": ["image", "local"]}, "matches nothing that was found by image; deps found it"),
        ({"applies": ["deps", "production"]}, "CVE-2030-1 (HIGH)"),
        ({"applies": ["lokal"]}, "applies to unknown lokal; known: all, secrets, deps"),
        ({"applies": ["all", "local"]}, "name one or the other"),
        ({"applies": []}, "applies"),
        ({"package": "django"}, "matches nothing"),
        ({"id": "CVE-2030-2"}, "matches nothing"),
        ({"owner": None}, "waivers.0 (CVE-2030-1).owner: Field required"),
        ({"approver": None}, "approver"),
        ({"reason": "''"}, "reason"),
        ({"created": None}, "created"),
        (
            {"expires": None, "expire": TODAY},
            "waivers.0 (CVE-2030-1).expire: Extra inputs are not permitted; allowed: id, package, purl",
        ),
        ({"expires": "soon"}, "expires"),
        ({"expires": 20300101}, "is not a day"),
        ({"expires": f"{TODAY} 12:00:00"}, "is not a day"),
        ({"expires": TODAY - timedelta(days=1), "created": TODAY - timedelta(days=9)}, "expired on"),
        ({"expires": TODAY + timedelta(days=91)}, "lasts 91 days; at most 90"),
        ({"created": TODAY + timedelta(days=1)}, "created in the future"),
        ({"created": TODAY, "expires": TODAY - timedelta(days=1)}, "expires before it is created"),
    ],
)
def test_waiver_rules(judge: Callable[..., Verdict], changes: dict[str, object], said: str) -> None:
    verdict = judge("waivers:\n" + waiver(**changes), deps=[finding()])
    assert said in why(verdict) and verdict.passed is (said == "")
    if not said:
        (deps,) = (gate for gate in verdict.gates if gate.gate == "deps")
        assert deps.outcome is Outcome.WAIVED and deps.waived == ["CVE-2030-1"]
        assert [(one.approver, one.id) for one in deps.waivers] == [("a", "CVE-2030-1")]
    elif "(HIGH)" not in said:
        assert {one.gate for one in verdict.blocked} >= {"waivers"}


@pytest.mark.parametrize(
    ("written", "found", "purl", "same"),
    [
        ("flask-login", "Flask_Login", "pkg:pypi/flask-login@1", True),
        ("libssl1-1", "libssl1.1", "pkg:deb/debian/libssl1.1@1", False),
        ("FLASK", "flask", "", True),
    ],
)
def test_python_packages_have_several_spellings(written: str, found: str, purl: str, same: bool) -> None:
    (one,) = waivers.parse("waivers:\n" + waiver(package=written)).waivers
    assert one.about(finding(package=found, purl=purl)) is same


def test_the_same_waiver_twice_blocks(judge: Callable[..., Verdict]) -> None:
    assert "is there twice" in why(judge("waivers:\n" + waiver() + waiver(), deps=[finding()]))


@pytest.mark.parametrize(
    "text", ["waivers: [\n", "waiver: []\n", "- 1\n", "just words\n", "waivers: {}\n", "a: 1\na: 2\n"]
)
def test_a_broken_file_blocks_even_without_findings(judge: Callable[..., Verdict], text: str) -> None:
    verdict = judge(text)
    assert not verdict.passed and waivers.FILE in why(verdict)


@pytest.mark.parametrize("text", ["", "# nothing\n", "waivers: []\n"])
def test_an_empty_file_accepts_nothing_and_blocks_nothing(judge: Callable[..., Verdict], text: str) -> None:
    assert judge(text).passed and not judge(text, deps=[finding()]).passed


def test_critical_findings_are_waived_for_thirty_days_at_most(judge: Callable[..., Verdict]) -> None:
    found = [finding(Severity.CRITICAL)]
    verdict = judge("waivers:\n" + waiver(expires=TODAY + timedelta(days=31)), deps=found)
    assert "longer than 30 days" in why(verdict) and len(verdict.blocked) == 1
    assert judge("waivers:\n" + waiver(expires=TODAY + timedelta(days=30)), deps=found).passed


@pytest.mark.parametrize(("days", "warned"), [(0, True), (7, True), (8, False)])
def test_the_end_is_announced_seven_days_before(judge: Callable[..., Verdict], days: int, warned: bool) -> None:
    verdict = judge("waivers:\n" + waiver(expires=TODAY + timedelta(days=days)), deps=[finding()])
    assert any("ends on" in text for text in verdict.warnings) is warned and verdict.passed


SNAPSHOT, OLD = database(snapshot=True), database(date=datetime.now(timezone.utc) - timedelta(days=2))
ONLY_PIP = database(covers=["pip"])


@pytest.mark.parametrize(
    ("changes", "required", "image", "said"),
    [
        ({}, gates.GATES, report("image", database=database()), True),
        ({}, gates.SOURCE_GATES, report("image"), False),  # image is not judged
        ({"applies": ["deps"]}, gates.SOURCE_GATES, report("image"), True),
        ({"applies": ["image", "production"]}, gates.GATES, report("image"), False),
        ({"applies": ["image"]}, gates.GATES, report("image", outcome=Outcome.COULD_NOT_RUN), False),
        ({"applies": ["image"]}, gates.GATES, report("image", database=SNAPSHOT), False),
        ({"applies": ["image"]}, gates.GATES, report("image", database=OLD), False),  # it may not know the id yet
        (
            {"applies": ["image"]},
            gates.GATES,
            report("image", database=ONLY_PIP, covered=Covered(os="debian 12")),
            False,
        ),
        ({"applies": ["secrets"]}, gates.GATES, report("image"), True),
    ],
)
def test_a_waiver_that_matches_nothing_blocks_when_that_is_sure(
    judge: Callable[..., Verdict], changes: dict[str, object], required: tuple[str, ...], image: Report, said: bool
) -> None:
    verdict = judge("waivers:\n" + waiver(**changes), required=required, image=image)
    assert ("matches nothing" in why(verdict)) is said


def test_a_secret_before_the_scanned_range_may_still_be_waived(judge: Callable[..., Verdict]) -> None:
    entry = "waivers:\n" + waiver(applies=["secrets"])
    assert judge(entry, secrets=report("secrets", covered=Covered(base="b" * 40))).passed


def test_a_waiver_of_a_finding_that_would_not_block_is_not_unused(judge: Callable[..., Verdict]) -> None:
    verdict = judge("waivers:\n" + waiver(), deps=[finding(Severity.LOW)])
    assert verdict.passed and not any(gate.waived for gate in verdict.gates)


def test_each_commit_is_judged_with_its_own_waivers(c: Context, env: Environment, repo: Repo) -> None:
    older = repo.commit({"a": "1"})
    newer = repo.commit({waivers.FILE: "waivers:\n" + waiver()})
    (repo.path / waivers.FILE).write_text("waivers: []\n")  # the working tree decides nothing
    for sha in (older, newer):
        for gate in gates.GATES:
            store.write(report(gate, sha, [finding()] if gate == "deps" else []))
    assert not gates.judge(c, env, older, gates.GATES, repo.path).passed
    assert gates.judge(c, env, newer, gates.GATES, repo.path).passed


def test_a_commit_that_is_not_here_is_no_commit_without_waivers(c: Context, env: Environment, repo: Repo) -> None:
    repo.commit({"a": "1"})
    verdict = gates.judge(c, env, "d" * 40, gates.GATES, repo.path)
    assert "read the waivers of the commit" in why(verdict)


@pytest.mark.parametrize("name", [".trivyignore", "service/.trivyignore.yaml", ".safety-policy.yml", "tasks/.bandit"])
def test_an_ignore_file_written_by_hand_blocks(judge: Callable[..., Verdict], repo: Repo, name: str) -> None:
    repo.commit({name: "CVE-2030-1\n"})
    verdict = judge("waivers: []\n")
    assert f"{name} is an ignore file written by hand" in why(verdict) and not verdict.could_not_run


def test_the_shipped_waivers_hold(c: Context) -> None:
    from tasks.lib.gates import waiver_rules

    assert waiver_rules.faults(waivers.load().waivers, {"local", "staging", "production"}, date.today()) == []
    assert (paths.ROOT / waivers.FILE).is_file()


def test_a_missing_file_is_no_waivers(c: Context, repo: Repo) -> None:
    assert waivers.of_commit(c, repo.commit({"a": "1"}), repo.path) == waivers.Waivers()
    with pytest.raises(Stop) as stop:
        waivers.of_commit(c, "d" * 40, repo.path)
    assert stop.value.code == 4


def test_a_published_value_that_its_service_accepts_counts_all_the_same() -> None:
    from tasks.lib.gates import secrets_gate

    example, valid = finding(id="URI:1"), finding(Severity.CRITICAL, id="URI:2")
    published = [waivers.Published(id=one.id, file="r.txt", reason="r", approver="a") for one in (example, valid)]
    seen = report("secrets", findings=[example, valid, example.model_copy(update={"commit": "d" * 40})])
    secrets_gate._leave_out_published(seen, published)
    assert seen.findings == [valid]
    assert [note.count("URI:1 in r.txt") for note in seen.notes] == [1]  # said once, in however many commits it is


def test_waivers_that_are_in_no_commit_are_named_where_they_would_help(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "ROOT", repo.path)
    sha = repo.commit({waivers.FILE: "waivers: []\n"})
    store.write(report("deps", sha, [finding()]))
    for changed in (False, True):
        terminal._console.cache_clear()
        with pytest.raises(Stop) as stop:
            gates.verdict(c, env, sha, ("deps",))
        assert stop.value.code == 3
        assert ("has changes that are in no commit" in capsys.readouterr().out) is changed
        (repo.path / waivers.FILE).write_text("waivers:\n" + waiver())
