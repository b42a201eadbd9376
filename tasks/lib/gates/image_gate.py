"""Known vulnerabilities in the packages of the built image, found by Trivy; and the image's bill of materials."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import archive, running, store, trivy, trivy_database
from tasks.lib.gates.databases import Built
from tasks.lib.gates.models import Finding, Report
from tasks.lib.gates.trivy_output import Vulnerability
from tasks.lib.runner import run
from tasks.lib.settings import SERVICE, Environment

GATE = "image"
# Fixed upstream long ago, so in every database of their ecosystem. Distributions keep advisories under source packages,
# so what is planted has the name of one.
PLANTED = {
    "pip": ("Django", "1.11.0"),
    "debian": ("openssl", "3.0.9-1"),
    "ubuntu": ("openssl", "3.0.2-0ubuntu1"),
    "alpine": ("openssl", "3.1.0-r0"),
}
SYSTEMS = {"debian": archive.debian, "ubuntu": archive.ubuntu, "alpine": archive.alpine}
USUAL = "debian"  # planted in every run; another system only where the image turns out to be of it
NO_OS = "operating-system packages were not covered: the database in use has no advisories for"


def check(c: Context, env: Environment, sha: str, image: Path | str) -> Report:
    """Scans an image archive (a path) or reference, and a planted image; keeps and returns the report."""

    def look(report: Report, scratch: Path) -> None:
        if isinstance(image, Path) and not image.is_file():
            raise Stop(
                f"image: there is no archive {image.name} of commit {sha[:8]}", Code.COULD_NOT_RUN, "./inv build"
            )
        program = tools.path(c, "trivy")
        database = trivy_database.find(c, env, program)
        report.database = database.about
        report.canary.planted = ["pip", *([USUAL] if USUAL in database.holds else [])]
        report.command = trivy.shown(_words(image, database.folder), scratch)
        with ThreadPoolExecutor(2) as both:
            asked = both.submit(_caught, c, program, database, scratch, USUAL)
            answer = trivy.ask(c, program, _words(image, database.folder), scratch, "scan the image")
            report.canary.caught = asked.result()
        report.version = trivy.version(answer)
        system = _system(answer)
        family = system.partition(" ")[0]
        if family != USUAL and family in SYSTEMS and family in database.holds:
            report.canary.planted.append(family)
            report.canary.caught += [kind for kind in _caught(c, program, database, scratch, family) if kind == family]
        known_version = any(f"{system}.".startswith(f"{name}.") for name in database.systems)
        database.about.covers = [kind for kind in report.canary.caught if kind != family or known_version]
        _covered(report, answer, system, family in database.about.covers)
        known = database.details
        report.findings = [_finding(one, target, known) for target, one in _vulnerabilities(answer)]

    return running.examine(GATE, sha, "trivy", look)


def _words(image: Path | str, database: Path) -> list[str | Path]:
    words: list[str | Path] = ["image", "--scanners", "vuln", "--pkg-types", "os,library", "--list-all-pkgs"]
    words += ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "--no-progress"]
    words += ["--cache-dir", database, "--cache-backend", "memory"]
    return [*words, "--input", image] if isinstance(image, Path) else [*words, "--image-src", "remote", image]


def _vulnerabilities(answer: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    results = answer.get("Results") or []
    return [(result["Target"], one) for result in results for one in result.get("Vulnerabilities") or []]


def _caught(c: Context, program: Path, database: Built, scratch: Path, system: str) -> list[str]:
    """Which of the packages planted in an image of this system are found: 'pip', the system, both or none."""
    planted = scratch / f"planted-{system}.tar"
    archive.write(planted, archive.python_package(*PLANTED["pip"]) | SYSTEMS[system](PLANTED[system]))
    answer = trivy.ask(c, program, _words(planted, database.folder), scratch, f"scan a planted image of {system}")
    names = {one["PkgName"].lower() for _, one in _vulnerabilities(answer)}
    return [kind for kind in ("pip", system) if PLANTED[kind][0].lower() in names]


def _system(answer: dict[str, Any]) -> str:
    """Name and version of the operating system, such as 'debian 12.8'; '' where Trivy recognised none."""
    system = (answer.get("Metadata") or {}).get("OS") or {}
    return f"{system.get('Family', '')} {system.get('Name', '')}".strip()


def _covered(report: Report, answer: dict[str, Any], system: str, covers_os: bool) -> None:
    """Counts the packages that the database can speak about. Raises Stop (4) when there is none of them."""
    report.subject = (answer.get("Metadata") or {}).get("ImageID", "")
    report.covered.os = system
    counts = {"pip": 0, "os": 0}
    for result in answer.get("Results") or []:
        kind = {"os-pkgs": "os", "lang-pkgs": "pip"}.get(result.get("Class", ""))
        if kind == "os" or (kind == "pip" and result.get("Type") == "python-pkg"):
            counts[kind] += len(result.get("Packages") or [])
    report.covered.packages = counts["pip"] + (counts["os"] if covers_os else 0)
    if counts["os"] and not covers_os:
        report.notes.append(f"{NO_OS} {system} ({counts['os']} packages)")
    if not report.covered.packages:
        raise Stop(
            f"image: the image holds no package that the database covers ({counts['os']} of the operating system, "
            f"{counts['pip']} of Python), so nothing was looked up",
            Code.COULD_NOT_RUN,
        )


def _finding(one: dict[str, Any], target: str, known: dict[str, dict[str, Any]]) -> Finding:
    """As Trivy says it, with what the advisories that its database was built from know beyond that."""
    found = Vulnerability.model_validate(one)
    about = known.get(found.id, {})
    more = {"title": found.title or about.get("title"), "url": about.get("url"), "aliases": about.get("aliases")}
    said = found.finding(target).model_dump()
    return Finding.model_validate({**said, **{key: value for key, value in more.items() if value}})


def sbom(c: Context, image: Path, dest: Path) -> Path:
    """Writes the CycloneDX bill of materials of an image archive. Raises Stop (4) when it names no component."""
    program = tools.path(c, "trivy")
    dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="slipway-sbom-") as scratch:
        made = Path(scratch) / "sbom.json"
        named = Path(scratch) / SERVICE  # Trivy names the document after the file, with the folders that it is given
        named.symlink_to(image.resolve())
        words: list[str | Path] = [*trivy.clean(), program, "image", "--format", "cyclonedx", "--input", SERVICE]
        words += ["--output", made, "--cache-dir", scratch, "--cache-backend", "memory", "--skip-version-check"]
        words += ["--disable-telemetry", "--offline-scan", "--quiet"]
        run(c, words, step="write the SBOM", timeout=trivy.SECONDS, cwd=Path(scratch))
        try:
            document = json.loads(made.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Stop(f"the SBOM cannot be read: {error}", Code.COULD_NOT_RUN) from error
        if not document.get("components"):
            raise Stop("the SBOM names no component of the image", Code.COULD_NOT_RUN)
        store.write_text(dest, json.dumps(_as_1_6(document), indent=2) + "\n")
    return dest


def _as_1_6(document: dict[str, Any]) -> dict[str, Any]:
    """Trivy writes 1.7 and has no switch; GitLab and other readers know 1.6, and nothing that Trivy writes is newer."""
    return {**document, "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "specVersion": "1.6"}
