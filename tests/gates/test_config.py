"""Planted misconfigurations are found in each kind of file, and files that were not read are no pass."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import paths
from tasks.lib.gates import config_gate, schemas, trivy
from tasks.lib.gates.models import Outcome, Report
from tasks.lib.settings import Environment
from tests.gates.conftest import Repo

pytestmark = pytest.mark.usefixtures("programs")
DOCKERFILE = 'FROM debian:12\nUSER 10001\nHEALTHCHECK CMD true\nCMD ["true"]\n'
OPEN_PORT = (
    'resource "aws_security_group_rule" "r" {\n  type = "ingress"\n  from_port = 22\n  to_port = 22\n'
    '  protocol = "tcp"\n  cidr_blocks = ["0.0.0.0/0"]\n  security_group_id = "sg-1"\n}\n'
)

WEAK_POD = (
    "apiVersion: v1\nkind: Pod\nmetadata: {name: weak, namespace: default}\n"
    "spec: {containers: [{name: weak, image: 'weak:1', securityContext: {privileged: true}}]}\n"
)


@pytest.fixture
def own(repo: Repo) -> Repo:
    """A repository with our chart, as it is in the checkout, and a harmless Dockerfile."""
    shutil.copytree(paths.ROOT / "k8s/helm", repo.path / "k8s/helm")
    values = "values: {}\n"
    repo.commit({"service/Dockerfile": DOCKERFILE, "gitops/environments/local/values.yaml": values})
    return repo


def scan(c: Context, env: Environment, repo: Repo, files: dict[str, str | None] | None = None) -> Report:
    return config_gate.check(c, env, repo.commit(files or {}), repo.path)


def serious(report: Report) -> set[tuple[str, str]]:
    return {(finding.id, finding.file) for finding in report.findings if finding.severity.value in ("CRITICAL", "HIGH")}


@pytest.mark.slow
def test_our_own_chart_has_nothing_serious(c: Context, env: Environment, own: Repo) -> None:
    report = scan(c, env, own, {"gitops/environments/production/values.yaml": "values: {}\n"})
    assert (report.reason, serious(report)) == ("", set())
    assert report.canary.caught == ["schema", "dockerfile", "kubernetes", "terraform"] and report.version == "0.74.0"
    assert report.helpers == {"helm": "3.19.4", "kubeconform": "0.7.0"}
    assert report.covered.files == ["rendered/local.yaml", "rendered/production.yaml", "service/Dockerfile"]
    titles = [(finding.id, finding.title) for finding in report.findings]
    assert len(titles) == len(set(titles))  # one finding, however many environments show it


@pytest.mark.slow
def test_planted_misconfigurations_are_found(c: Context, env: Environment, own: Repo) -> None:
    files: dict[str, str | None] = {
        "service/Dockerfile": "FROM debian:12\nUSER root\n",
        "k8s/helm/templates/weak.yaml": WEAK_POD,
        "infra/terraform/main.tf": OPEN_PORT,
    }
    found = serious(scan(c, env, own, files))
    assert {"service/Dockerfile", "k8s/helm", "infra/terraform/main.tf"} <= {file for _, file in found}


@pytest.mark.slow
def test_what_the_api_server_would_refuse_is_found(c: Context, env: Environment, own: Repo) -> None:
    path = "k8s/helm/templates/service.yaml"
    text = (own.path / path).read_text(encoding="utf-8")
    report = scan(c, env, own, {path: text.replace("\nspec:\n", "\nspec:\n  sessionAfinity: None\n")})
    assert ("kubeconform", "k8s/helm") in serious(report)
    assert any("sessionAfinity" in finding.title for finding in report.findings)


@pytest.mark.slow
def test_chart_that_does_not_render_is_a_finding(c: Context, env: Environment, own: Repo) -> None:
    report = scan(c, env, own, {"k8s/helm/templates/broken.yaml": "a: {{ .Values.nothing.here }}\n"})
    assert {"helm-lint", "helm-template"} <= {finding.id for finding in report.findings}


@pytest.mark.slow
def test_comment_that_switches_a_check_off_is_found(c: Context, env: Environment, own: Repo) -> None:
    comment = f"#{'trivy'}:ignore:AWS-0107\n"
    report = scan(c, env, own, {"infra/terraform/main.tf": comment + OPEN_PORT})
    assert ("inline-ignore", "infra/terraform/main.tf") in serious(report)


@pytest.mark.slow
def test_ignore_files_and_settings_of_the_commit_do_not_count(
    c: Context, env: Environment, own: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVY_SEVERITY", "LOW")
    weak: dict[str, str | None] = {"service/Dockerfile": "FROM debian:12\nUSER root\n", ".trivyignore": "DS-0002\n"}
    assert ("DS-0002", "service/Dockerfile") in serious(scan(c, env, own, weak))


def test_commit_without_chart_or_dockerfile_could_not_run(c: Context, env: Environment, own: Repo) -> None:
    report = scan(c, env, own, {"service/Dockerfile": None})
    assert report.outcome is Outcome.COULD_NOT_RUN and "has no service/Dockerfile" in report.reason


@pytest.mark.slow
def test_terraform_that_cannot_be_read_could_not_run(c: Context, env: Environment, own: Repo) -> None:
    report = scan(c, env, own, {"infra/terraform/main.tf": 'resource "aws_s3_bucket" {{{ \n'})
    assert report.outcome is Outcome.COULD_NOT_RUN, serious(report)


@pytest.mark.parametrize(
    ("script", "reason"), [("kill -9 $$", "was killed"), ("exit 0", "No such file"), ("exit 1", "exit code 1")]
)
@pytest.mark.slow
def test_scanner_that_did_not_look_could_not_run(
    c: Context, env: Environment, own: Repo, use: Callable[[str, str], None], script: str, reason: str
) -> None:
    use("trivy", script)
    report = scan(c, env, own)
    assert report.outcome is Outcome.COULD_NOT_RUN and reason in report.reason


@pytest.mark.slow
def test_kubeconform_that_leaves_objects_out_could_not_run(
    c: Context, env: Environment, own: Repo, use: Callable[[str, str], None], programs: dict[str, Path]
) -> None:
    use("kubeconform", f'exec {programs["kubeconform"]} -skip Service "$@"')
    report = scan(c, env, own)
    assert report.outcome is Outcome.COULD_NOT_RUN and "kubeconform did not look at 2 objects" in report.reason


@pytest.mark.slow
def test_kubeconform_that_finds_nothing_wrong_could_not_run(
    c: Context, env: Environment, own: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_gate, "WRONG", config_gate.WRONG.replace("planted: true", "type: ClusterIP"))
    report = scan(c, env, own)
    assert report.outcome is Outcome.COULD_NOT_RUN and "planted positive (schema)" in report.reason


@pytest.mark.slow
def test_scanner_with_its_checks_switched_off_could_not_run(
    c: Context, env: Environment, own: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trivy, "SWITCHES", [*trivy.SWITCHES, "--severity", "LOW"])
    report = scan(c, env, own)
    assert report.outcome is Outcome.COULD_NOT_RUN and "planted positive" in report.reason


def test_schemas_come_from_the_pinned_kubernetes(c: Context) -> None:
    folder = schemas.folder(c)
    assert folder.name.startswith(schemas.kubernetes()) and (folder / "deployment-apps-v1.json").is_file()
    assert Path(folder / "pod-v1.json").is_file()
