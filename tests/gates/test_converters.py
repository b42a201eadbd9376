"""Output of scanners that somebody else ran becomes valid reports, and nothing of a secret comes along."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from invoke.context import Context

from tasks import findings
from tasks.lib.errors import Stop
from tasks.lib.gates import archive, converters, databases, gitlab, judgement, trivy_database
from tasks.lib.gates.models import Outcome, Verdict
from tasks.lib.runner import run
from tasks.lib.settings import Environment, Severity
from tests.gates.conftest import Repo
from tests.gates.test_secrets import key_pair, login

SCHEMAS = Path(__file__).parents[1] / "fixtures" / "schemas"
GITLAB = {
    "secret_detection": "secret-detection-report-format.json",
    "dependency_scanning": "dependency-scanning-report-format.json",
    "container_scanning": "container-scanning-report-format.json",
    "sast": "sast-report-format.json",
}


@cache
def schema(name: str) -> Any:
    text = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(text)(text)


def convert(source: str, file: Path, to: str, kind: str = "") -> dict[str, Any]:
    """The converted document, held against the schema of its format."""
    made = json.loads(converters.write(converters.read(source, file), to, kind))
    schema("sarif-2.1.0.json" if to == "sarif" else GITLAB[made["scan"]["type"]]).validate(made)
    return dict(made)


def names(document: dict[str, Any]) -> set[str]:
    return {one["identifiers"][0]["name"] for one in document["vulnerabilities"]}


@pytest.fixture
def trivy(
    c: Context, env: Environment, tmp_path: Path, programs: dict[str, Path]
) -> Callable[..., tuple[Path, dict[str, Any]]]:
    """trivy(words): runs the real one over something, offline; its JSON file and what is in it."""

    def scan(*words: str | Path) -> tuple[Path, dict[str, Any]]:
        out = tmp_path / "trivy.json"
        line: list[str | Path] = [programs["trivy"], *words, "--format", "json", "--output", out, "--offline-scan"]
        line += ["--cache-dir", trivy_database.find(c, env, programs["trivy"]).folder, "--cache-backend", "memory"]
        run(c, [*line, "--skip-db-update", "--skip-check-update"], step="trivy", timeout=120, cwd=tmp_path)
        return out, json.loads(out.read_text())

    return scan


@pytest.mark.slow
def test_trivy_on_an_image(trivy: Callable[..., tuple[Path, dict[str, Any]]], tmp_path: Path) -> None:
    image = tmp_path / "image.tar"
    files = archive.python_package("urllib3", "1.24.1") | archive.debian(("bash", "5.2-1"))
    archive.write(image, files)
    file, answer = trivy("image", "--input", image, "--scanners", "vuln")
    document = convert("trivy", file, "gitlab")
    assert document["scan"]["type"] == "container_scanning" and document["scan"]["scanner"]["version"] == "0.74.0"
    assert "CVE-2019-11324" in names(document)
    assert document["vulnerabilities"][0]["location"]["operating_system"] == "debian 12.8"
    found = [one for result in answer["Results"] for one in result.get("Vulnerabilities", [])]
    (run_,) = convert("trivy", file, "sarif")["runs"]
    assert len(run_["results"]) == len(document["vulnerabilities"]) == len(found)
    (report,) = converters.read("trivy", file)
    assert {one.purl for one in report.findings} == {"pkg:pypi/urllib3@1.24.1"}


@pytest.mark.slow
def test_trivy_on_a_folder_finds_three_kinds_and_gitlab_wants_them_apart(
    trivy: Callable[..., tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "requirements.txt").write_text("urllib3==1.24.1\n")
    (folder / "Dockerfile").write_text("FROM debian:12\nUSER root\n")
    text = key_pair()
    (folder / "settings.ini").write_text(text)
    file, answer = trivy("fs", "--scanners", "vuln,misconfig,secret", folder)
    with pytest.raises(Stop, match="name one with --kind") as stop:
        convert("trivy", file, "gitlab")
    assert stop.value.code == 2
    assert "CVE-2019-11324" in names(convert("trivy", file, "gitlab", "dependency_scanning"))
    assert "DS-0002" in names(convert("trivy", file, "gitlab", "sast"))
    secrets = convert("trivy", file, "gitlab", "secret_detection")
    assert secrets["vulnerabilities"][0]["location"]["file"] == "settings.ini"
    assert len(convert("trivy", file, "sarif")["runs"]) == 3
    shown = [one["Match"] for result in answer["Results"] for one in result.get("Secrets", [])]
    kept = converters.write(converters.read("trivy", file), "json")
    assert shown and not [match for match in shown if match in kept]
    with pytest.raises(Stop, match="holds no container_scanning"):
        convert("trivy", file, "gitlab", "container_scanning")


@pytest.mark.slow
@pytest.mark.parametrize("source", ["git", "filesystem"])
def test_trufflehog_leaves_no_value_behind(
    c: Context, repo: Repo, tmp_path: Path, programs: dict[str, Path], source: str
) -> None:
    text = login()
    sha = repo.commit({"app/settings.ini": text})
    where = f"file://{repo.path}" if source == "git" else str(repo.path / "app")
    words = [programs["trufflehog"], source, where, "--results=verified,unknown", "--json", "--no-update"]
    result = run(c, words, step="trufflehog", timeout=120, quiet=True)
    file = tmp_path / "found.json"
    file.write_text(result.stdout + result.stderr)
    document = convert("trufflehog", file, "gitlab")
    (one,) = document["vulnerabilities"]
    assert one["location"]["file"].endswith("settings.ini") and document["scan"]["scanner"]["version"] == "3.97.0"
    assert one["location"]["commit"]["sha"] == (sha if source == "git" else converters.NO_COMMIT)
    value = text.split(":")[2].partition("@")[0]
    assert value in file.read_text()
    for to in converters.FORMATS:
        made = converters.write(converters.read("trufflehog", file), to)
        assert not [form for form in forms(value) if form in made]


def forms(value: str) -> list[str]:
    """A value as it is, and as base64 at any offset in a longer text."""
    encoded = [base64.b64encode(b"x" * shift + value.encode()).decode()[4:-4] for shift in range(3)]
    return [value, *encoded]


@pytest.mark.slow
def test_safety_check(c: Context, env: Environment, tmp_path: Path, programs: dict[str, Path]) -> None:
    (tmp_path / "requirements.txt").write_text("urllib3==1.24.1\nsix==1.17.0\n")
    database = databases.safety(env).folder
    words: list[str | Path] = [programs["safety"], "--disable-optional-telemetry", "check", "--db", database, "--json"]
    words += ["-r", tmp_path / "requirements.txt"]
    result = run(c, words, step="safety", timeout=120, ok=(0, 64), env={"HOME": str(tmp_path)}, cwd=tmp_path)
    file = tmp_path / "safety.json"
    file.write_text(result.stdout)  # with the notices that it prints around its JSON
    document = convert("safety", file, "gitlab")
    assert document["scan"]["type"] == "dependency_scanning" and document["scan"]["scanner"]["version"] == "3.7.0"
    assert "CVE-2019-11324" in names(document)
    (report,) = converters.read("safety", file)
    assert report.findings[0].package == "urllib3" and report.findings[0].fixed
    assert convert("safety", file, "sarif")["runs"][0]["results"]


SCAN = {
    "meta": {"scan_type": "scan", "timestamp": "2026-11-23T10:00:00", "telemetry": {"safety_version": "3.7.0"}},
    "scan_results": {
        "projects": [
            {
                "files": [
                    {
                        "location": "requirements.txt",
                        "results": {
                            "dependencies": [
                                {
                                    "name": "Jinja2",
                                    "specifications": [
                                        {
                                            "raw": "jinja2==2.10",
                                            "vulnerabilities": {
                                                "known_vulnerabilities": [
                                                    {"id": "54679", "vulnerable_spec": "<2.11.3", "new": 1},
                                                    {
                                                        "id": "1",
                                                        "vulnerable_spec": "<3",
                                                        "ignored": {"code": "manual", "reason": None, "expires": None},
                                                    },
                                                ],
                                                "remediation": {"vulnerabilities_found": 2, "recommended": "3.1.6"},
                                            },
                                        }
                                    ],
                                }
                            ]
                        },
                    }
                ]
            }
        ]
    },
}
CHECK: dict[str, Any] = {
    "report_meta": {"safety_version": "3.7.0", "timestamp": "2026-11-23 07:31:43", "api_key": True},
    "scanned_packages": {"django": {}},
    "vulnerabilities": [
        {
            "vulnerability_id": "33073",
            "package_name": "Django",
            "analyzed_version": "1.11",
            "advisory": None,
            "fixed_versions": None,
            "CVE": "CVE-2017-12794",
            "severity": {"cvssv2": None, "cvssv3": {"base_score": 9.8}},
        }
    ],
    "ignored_vulnerabilities": [{}],
}
WORD = "hunter22"  # in a variable: a whole URL would be found by our own gate
TRIVY: dict[str, Any] = {"SchemaVersion": 2, "ArtifactName": "x", "ArtifactType": "filesystem"}


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[object], Path]:
    def write(content: object) -> Path:
        file = tmp_path / "in.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    return write


def test_safety_scan(kept: Callable[[object], Path]) -> None:
    (report,) = converters.read("safety", kept(SCAN))
    (one,) = report.findings
    assert (one.id, one.package, one.installed, one.fixed) == ("54679", "jinja2", "2.10", "3.1.6")
    assert report.notes == ["1 findings that settings of safety hide are left out"]
    assert report.started.isoformat() == "2026-11-23T10:00:00+00:00"


def test_ratings_of_those_who_are_logged_in_at_safety(kept: Callable[[object], Path]) -> None:
    (report,) = converters.read("safety", kept(CHECK))
    (one,) = report.findings
    assert (one.severity, one.aliases, one.fixed) == (Severity.CRITICAL, ["CVE-2017-12794"], "")
    assert len(report.notes) == 1


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("trivy", TRIVY),
        ("trivy", {**TRIVY, "Results": None}),
        ("safety", {**CHECK, "scanned_packages": {}, "vulnerabilities": []}),
        ("trufflehog", '{"level":"error","msg":"failed to clone","error":"https://me:' + WORD + '@e.org is gone"}\n'),
    ],
)
def test_a_scan_that_did_not_look_is_no_pass(kept: Callable[[object], Path], source: str, content: object) -> None:
    (report,) = converters.read(source, kept(content))
    assert report.outcome is Outcome.COULD_NOT_RUN and WORD not in report.reason
    assert convert(source, kept(content), "gitlab")["scan"]["status"] == "failure"
    assert not convert(source, kept(content), "sarif")["runs"][0]["invocations"][0]["executionSuccessful"]


def test_a_clean_scan_is_clean(kept: Callable[[object], Path]) -> None:
    clean = {
        **TRIVY,
        "CreatedAt": "2026-11-23T07:00:00.123456789Z",
        "Results": [{"Target": "r.txt", "Class": "lang-pkgs"}],
    }
    assert convert("trivy", kept(clean), "gitlab")["scan"]["status"] == "success"
    end = '{"level":"info-0","msg":"finished scanning","chunks":3,"trufflehog_version":"3.97.0"}\n'
    (report,) = converters.read("trufflehog", kept(end))
    assert (report.outcome, report.version) == (Outcome.PASS, "3.97.0")


SECRET = "hunter2hunter2"
RESULT = {"DetectorName": "URI", "Verified": False, "Raw": SECRET, "Redacted": SECRET}


@pytest.mark.parametrize(
    ("source", "content", "said"),
    [
        ("trivy", "", "Invalid JSON"),
        ("trivy", "no json", "Invalid JSON"),
        ("trivy", [], "Input should be an object"),
        ("trivy", {"runs": []}, "SchemaVersion: Field required"),
        ("trivy", {**TRIVY, "SchemaVersion": 3}, "SchemaVersion: Input should be 2"),
        ("trivy", {**TRIVY, "Results": [{"Vulnerabilities": []}]}, "Results.0.Target: Field required"),
        ("trufflehog", "", "keep its log in the same file"),
        ("trufflehog", "no json", "it is not JSON"),
        ("trufflehog", '{"half', "it is not JSON"),
        ("trufflehog", {"SchemaVersion": 2}, "SourceMetadata: Field required"),
        ("trufflehog", {**RESULT, "SourceMetadata": {"Data": {}}}, "SourceMetadata.Data"),
        ("trufflehog", {**RESULT, "Raw": [SECRET], "SourceMetadata": {"Data": {"Git": {}}}}, "Raw"),
        ("safety", "", "it is not JSON"),
        ("safety", TRIVY, "report_meta: Field required"),
        ("safety", {"scan_results": {}}, "meta: Field required"),
        ("grype", "{}", "known: trivy, trufflehog, safety"),
    ],
)
def test_what_is_no_such_output_is_refused_in_one_sentence(
    kept: Callable[[object], Path], source: str, content: object, said: str
) -> None:
    with pytest.raises(Stop) as stop:
        converters.read(source, kept(content))
    assert said in stop.value.sentence and stop.value.code == 2
    assert SECRET not in str(stop.value) and "\n" not in stop.value.sentence


def test_missing_files_and_options_are_usage(tmp_path: Path) -> None:
    for options in ({"from_": "trivy", "file": str(tmp_path / "gone")}, {"from_": "trivy"}, {"file": "x"}):
        with pytest.raises(Stop) as stop:
            findings.convert(Context(), **options)
        assert stop.value.code == 2
    with pytest.raises(Stop, match="--to: unknown"):
        converters.write([], "xml")
    with pytest.raises(Stop, match="--kind: unknown"):
        converters.write([], "gitlab", "dast")


def test_standard_output_is_the_document_and_nothing_else(
    kept: Callable[[object], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings.convert(Context(), from_="safety", file=str(kept(CHECK)))
    assert json.loads(capsys.readouterr().out)["version"] == gitlab.VERSION
    out = tmp_path / "out.sarif"
    findings.convert(Context(), from_="safety", file=str(kept(CHECK)), to="sarif", out=str(out))
    assert json.loads(out.read_text())["version"] == "2.1.0"


def test_a_converted_report_is_no_evidence_of_a_gate(env: Environment, kept: Callable[[object], Path]) -> None:
    (report,) = converters.read("safety", kept({**CHECK, "vulnerabilities": []}))
    why, _ = judgement._unusable(env, report, Verdict(commit=converters.NO_COMMIT, environment="local"))
    assert report.outcome is Outcome.PASS and "planted positive was not caught" in why
