"""The pipeline read as data: its lines are those of people, and nothing in it may fail unseen."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.lib import commands, gates, paths, settings, trace_words
from tasks.lib.gates import gitlab
from tasks.lib.tools import pins
from tests.ci.conftest import FILE, Clone

Jobs = dict[str, dict[str, Any]]
HEADS = ("variables", "workflow", "default", "stages", "include", "before_script")
OUTSIDE = {"push", "deploy:staging", "promote:production"}
VERBS = ("review", "plan", "apply", "drift")
INFRA = {f"infra:{verb}:{name}" for verb in VERBS for name in ("staging", "production")}
BY_HAND = {"promote:production", "infra:apply:production"}
DEPLOYS = {"deploy:staging": "staging", "promote:production": "production"}


def schema(file: Path) -> subprocess.CompletedProcess[str]:
    words = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(file)]
    return subprocess.run([sys.executable, "-m", "check_jsonschema", *words], capture_output=True, text=True)


def test_gitlabs_own_schema_takes_it() -> None:
    done = schema(FILE)
    assert done.returncode == 0, done.stdout


def test_the_schema_would_not_take_a_misspelt_report(tmp_path: Path) -> None:
    wrong = tmp_path / ".gitlab-ci.yml"
    wrong.write_text(FILE.read_text().replace("secret_detection:", "secrets_detection:"))
    assert schema(wrong).returncode == 1


def script(job: dict[str, Any]) -> list[str]:
    return [*job.get("before_script", []), *job["script"], *job.get("after_script", [])]


def test_every_line_is_one_that_the_tasks_take(jobs: Jobs) -> None:
    lines = [(name, line) for name, job in jobs.items() for line in script(job)]
    assert lines
    known = settings.known()
    assert not [
        (name, line, reason)
        for name, line in lines
        if (reason := commands.wrong(line, known) or ("" if line.startswith("./inv -e ") else "not ./inv -e"))
    ]


def hidden(pipeline: dict[str, Any]) -> list[str]:
    """Lines and variables of a pipeline that nobody sees who reads the scripts of its jobs."""
    found = []
    for where, keys in [("pipeline", pipeline), *((name, job) for name, job in pipeline.items() if name not in HEADS)]:
        found += [f"{where}: {key}" for key in ("before_script", "after_script", "hooks", "inherit") if key in keys]
        found += [f"{where}: {name}" for name in trace_words.variables(keys.get("variables", {}))]
    return found + [f"default: {key}" for key in pipeline["default"] if key not in ("image", "interruptible")]


def test_nothing_is_hidden_from_who_reads_the_scripts(pipeline: dict[str, Any]) -> None:
    assert hidden(pipeline) == []


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda p: p["variables"].update(TRIVY_SEVERITY="LOW"), "pipeline: TRIVY_SEVERITY"),
        (lambda p: p["scan:deps"].update(variables={"PIP_INDEX_URL": "x"}), "scan:deps: PIP_INDEX_URL"),
        (lambda p: p[".scan"].update(variables={"SLIPWAY_FAST": "1"}), ".scan: SLIPWAY_FAST"),
        (lambda p: p["gate"].update(before_script=["true"]), "gate: before_script"),
        (lambda p: p["default"].update(before_script=["true"]), "default: before_script"),
        (lambda p: p.update(before_script=["true"]), "pipeline: before_script"),
    ],
)
def test_what_would_be_hidden_is_found(pipeline: dict[str, Any], change: Callable[[Any], object], seen: str) -> None:
    special = copy.deepcopy(pipeline)
    change(special)
    assert hidden(special) == [seen]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("./inv -e scan.secret", "No idea what 'scan.secret' is"),
        ("./inv -e deploy --environment staging", "No idea what '--environment' is"),
        ("./inv -e deploy --env stagin", "no environment 'stagin'"),
        ("./inv -e deploy --env", "needed value"),
        ("inv -e lint", "does not start with ./inv"),
        ("./inv -e lint || true", "No idea what '||' is"),
        ("./inv -e lint 'x", "not a shell line"),
    ],
)
def test_a_line_that_no_task_takes_is_found(line: str, reason: str) -> None:
    assert reason in commands.wrong(line, ["staging"])


def test_programs_are_named_as_in_the_pins(jobs: Jobs) -> None:
    named = {
        name
        for job in jobs.values()
        for line in script(job)
        for names in re.findall(r"--only (\S+)", line)
        for name in names.split(",")
    }
    assert named
    assert named <= set(pins.known())


def test_nothing_may_fail_unseen(pipeline: dict[str, Any]) -> None:
    def allowances(node: object) -> list[object]:
        if isinstance(node, dict):
            own = [node["allow_failure"]] if "allow_failure" in node else []
            return own + [one for value in node.values() for one in allowances(value)]
        return [one for value in node for one in allowances(value)] if isinstance(node, list) else []

    assert set(map(str, allowances(pipeline))) <= {"False"}
    for job in pipeline.values():
        # Outside of rules, GitLab lets a manual job fail.
        assert not (isinstance(job, dict) and job.get("when") == "manual")


@pytest.mark.parametrize("name", DEPLOYS)
def test_deploys_are_one_at_a_time_named_and_never_cut_off(jobs: Jobs, name: str) -> None:
    job, environment = jobs[name], DEPLOYS[name]
    assert job["resource_group"] == environment
    assert job["environment"] == {"name": environment, "deployment_tier": environment}
    assert job["interruptible"] is False
    deploy = job["script"][-1]
    assert re.search(rf"--(env|to) {environment} ", deploy)
    assert "--release $CI_COMMIT_SHA --yes" in deploy


def test_only_production_waits_for_a_person(jobs: Jobs) -> None:
    manual = {name for name, job in jobs.items() if any(rule.get("when") == "manual" for rule in job.get("rules", []))}
    assert manual == BY_HAND
    assert all(jobs[name]["rules"][0]["allow_failure"] is False for name in BY_HAND)


def test_the_whole_history_is_there(pipeline: dict[str, Any]) -> None:
    assert pipeline["variables"]["GIT_DEPTH"] == 0
    assert pipeline["default"]["image"] == "$SLIPWAY_TOOLBOX"
    assert pipeline["variables"]["SLIPWAY_ENV"] in settings.known()


def test_reports_are_the_files_that_the_gates_write(jobs: Jobs) -> None:
    security = set(gitlab.KINDS.values())
    named = {
        (kind, path)
        for job in jobs.values()
        for kind, path in job.get("artifacts", {}).get("reports", {}).items()
        if kind in security
    }
    folder = ".slipway/releases/$CI_COMMIT_SHA/reports"
    assert named == {(kind, f"{folder}/{gitlab.NAMES[gate]}") for gate, kind in gitlab.KINDS.items()}
    assert str(paths.release("$CI_COMMIT_SHA").relative_to(paths.ROOT) / "reports") == folder


SCANS = {"scan:secrets", "scan:deps", "scan:config", "scan:code"}


def test_what_a_job_reads_is_handed_on_by_the_jobs_that_it_needs(jobs: Jobs) -> None:
    needs = {name: set(job.get("needs", [])) for name, job in jobs.items()}
    assert needs["scan:gate"] == SCANS
    assert needs["gate"] == {*SCANS, "scan:image"}
    assert needs["build"] == {"lint", "test", "scan:gate"}
    assert (needs["scan:image"], needs["record"], needs["push"]) == ({"build"}, {"gate"}, {"build", "record"})
    assert (needs["deploy:staging"], needs["promote:production"]) == ({"push"}, {"deploy:staging"})
    handed_on = [
        name for name, job in jobs.items() if ".slipway/releases/" in job.get("artifacts", {}).get("paths", [])
    ]
    assert set(handed_on) == {*SCANS, "scan:gate", "scan:image", "gate", "record"}


def test_only_gates_fail_on_findings_and_they_judge_all_that_was_scanned(jobs: Jobs) -> None:
    """GitLab throws the security reports of failed jobs away, so a job that has one may not be one that judges."""
    verdicts = {name: line for name, job in jobs.items() for line in job["script"] if " scan.gate " in line}
    assert set(verdicts) == {"scan:gate", "gate"}
    assert verdicts["scan:gate"].endswith(f" --require {','.join(gates.SOURCE_GATES)}")
    assert "--require" not in verdicts["gate"]
    for name, job in jobs.items():
        reports = set(job.get("artifacts", {}).get("reports", {})) & {*gitlab.KINDS.values(), "cyclonedx"}
        tasks = [task for line in job["script"] for task in commands.task_names(line)]
        assert not (reports and {"scan.gate", "scan", "build", "record"} & set(tasks)), name
        assert not reports or job["artifacts"]["when"] == "always", name


def test_releases_can_be_signed_by_the_pipeline_itself(jobs: Jobs) -> None:
    assert jobs["push"]["id_tokens"]["SIGSTORE_ID_TOKEN"] == {"aud": "sigstore"}
    assert {name for name, job in jobs.items() if "id_tokens" in job} == {"push", *DEPLOYS, *INFRA}


def test_registry_and_cluster_on_aws_are_reached_by_the_tokens_of_jobs(jobs: Jobs) -> None:
    # As the roles of infra/terraform/modules/identity want it: one audience for each environment.
    for name, environment in {"push": "$SLIPWAY_ENV", **DEPLOYS}.items():
        audience = f"$CI_SERVER_URL/$CI_PROJECT_PATH/{environment}"
        assert jobs[name]["id_tokens"]["AWS_ID_TOKEN"] == {"aud": audience}, name


def test_aws_is_reached_by_the_tokens_of_jobs_and_the_plan_that_was_seen_is_the_one_applied(jobs: Jobs) -> None:
    for name in INFRA:
        _, verb, environment = name.split(":")
        job = jobs[name]
        # As the roles of infra/terraform/modules/identity want it.
        assert job["id_tokens"] == {"AWS_ID_TOKEN": {"aud": f"$CI_SERVER_URL/$CI_PROJECT_PATH/{environment}"}}
        assert job["interruptible"] is False
        # AWS_ROLE_ARN is set for each environment: a merge request's job has the one of the role that only reads.
        assert job["environment"] == {
            "name": f"plan/{environment}" if verb == "review" else environment,
            "action": "prepare" if verb == "apply" else "verify",
        }
        task = "infra.plan" if verb == "review" else f"infra.{verb}"
        assert f" {task} --env {environment}" in job["script"][-1]
        assert ("--no-lock" in job["script"][-1]) is (verb == "review")
        folder = f".slipway/infra/{environment}/plan/"
        if verb in ("plan", "review"):
            assert job["artifacts"]["paths"] == [folder]
            assert job["artifacts"]["access"] == "developer"
            assert job["artifacts"]["reports"] == {"terraform": f"{folder}gitlab.json"}
        if verb == "apply":
            assert f"infra:plan:{environment}" in job["needs"]
            assert job["resource_group"] == f"infra-{environment}"


@pytest.mark.slow
def test_merge_requests_run_all_but_push_and_deploy(clone: Clone, jobs: Jobs) -> None:
    on_main = clone.jobs()
    assert set(on_main) == set(jobs)
    assert {name for name, when in on_main.items() if when != "on_success"} == {"promote:production", *INFRA}
    in_request = clone.jobs(CI_PIPELINE_SOURCE="merge_request_event", CI_COMMIT_BRANCH="")
    assert {name for name, when in in_request.items() if when == "never"} == OUTSIDE | INFRA
    assert {name for name, when in in_request.items() if when == "on_success"} == set(jobs) - OUTSIDE - INFRA
    scheduled = clone.jobs(CI_PIPELINE_SOURCE="schedule")
    assert {name for name in OUTSIDE if scheduled[name] != "never"} == set()  # a nightly look deploys nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "run", "by_hand"),
    [
        ({"CI_PIPELINE_SOURCE": "push"}, {"plan:staging", "plan:production", "apply:staging"}, {"apply:production"}),
        (
            {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_COMMIT_BRANCH": ""},
            {"review:staging", "review:production"},
            set(),
        ),
        ({"CI_PIPELINE_SOURCE": "schedule"}, {"drift:staging", "drift:production"}, set()),
    ],
)
def test_aws_is_planned_applied_and_watched_where_it_is_turned_on(
    clone: Clone, variables: dict[str, str], run: set[str], by_hand: set[str]
) -> None:
    found = clone.jobs(SLIPWAY_INFRA="true", **variables)
    told = {when: {n.removeprefix("infra:") for n in INFRA if found[n] == when} for when in ("on_success", "manual")}
    assert told == {"on_success": run, "manual": by_hand}
