"""Rows about the gates: all of them beside the slowest scanner alone, an unchanged commit, a long history, a push."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from invoke.context import Context

from tasks.lib import build, git, paths, settings, tools
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import Stage, median, spread
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import code_gate, databases, deps_gate, secrets_gate
from tasks.lib.runner import run

ROUNDS, QUICK_ROUNDS = 3, 7
SECONDS = 600.0
HISTORY = 10_000
WORDS = [f"word{number}" for number in range(500)]


@contextmanager
def _checkout(c: Context) -> Iterator[Path]:
    """A clone of its own of the working tree as it is now."""
    with tempfile.TemporaryDirectory(prefix="slipway-scans-") as place:
        folder = Path(place) / "checkout"
        git.ask(c, "clone", "--quiet", "--shared", "--no-checkout", str(paths.ROOT), str(folder))
        git.ask(c, "checkout", "--quiet", "-B", "main", build.snapshot(c), repo=folder)
        yield folder


def _inv(c: Context, folder: Path, *words: str, env: Mapping[str, str] | None = None) -> str:
    """What `./inv words` prints in a checkout, as it is typed; it uses the venv of this one."""
    own = {"SLIPWAY_VENV": sys.prefix, **(env or {})}
    done = run(c, [folder / "inv", *words], step=f"./inv {words[0]}", timeout=SECONDS, env=own, cwd=folder, quiet=True)
    return done.stdout + done.stderr


def scan(stage: Stage) -> Row:
    """`./inv scan --again` of one new commit, canaries and verdict included, against the slowest scanner alone."""
    with _checkout(stage.c) as folder, tempfile.TemporaryDirectory(prefix="slipway-raw-") as scratch:
        since = git.resolve(stage.c, "HEAD~1", folder)
        given = {"CI_COMMIT_BEFORE_SHA": since}
        alone = _raw_scanners(stage.c, folder, since, Path(scratch))
        ours: list[float] = []
        raw: dict[str, list[float]] = {name: [] for name in alone}
        _inv(stage.c, folder, "scan", "--again", env=given)
        for _ in range(ROUNDS):
            ours.append(stage.timed(lambda: _inv(stage.c, folder, "scan", "--again", env=given)))
            for name, work in alone.items():
                raw[name].append(stage.timed(work))
    medians = {name: median(values) for name, values in raw.items()}
    slowest = max(medians, key=lambda name: medians[name])
    each = ", ".join(f"{name} {seconds:.2f}" for name, seconds in sorted(medians.items(), key=lambda one: -one[1]))
    return Row(
        name="scan",
        what="scan of one new commit: four gates at once",
        unit="s",
        ours=median(ours),
        raw=medians[slowest],
        raw_what=f"{slowest} alone, the slowest",
        limit_ratio=1.15,
        notes=[
            f"medians of {ROUNDS} in turn; ours {spread(ours)}; alone: {each}",
            f"{sum(medians.values()):.2f} s of scanners in all: {os.cpu_count()} cores cannot be much faster than "
            f"{max(medians[slowest], sum(medians.values()) / (os.cpu_count() or 1)):.2f} s",
        ],
    )


def _raw_scanners(c: Context, folder: Path, since: str, scratch: Path) -> dict[str, Callable[[], object]]:
    """Each scanner by name, as one would call it by hand for the same commit."""
    names = ("trufflehog", "safety", "trivy", "helm", "bandit", "shellcheck")
    program = tools.paths(c, names)
    sha = git.head(c, folder)
    tree = git.unpack(c, sha, scratch / "tree", repo=folder)
    pins = sorted({f"{pin.name}=={pin.version}\n" for pin in deps_gate.read_pins(c, sha, folder)})
    (scratch / "pins.txt").write_text("".join(pins), encoding="utf-8")
    database = databases.safety(settings.load("local")).folder
    chart = run(
        c, [program["helm"], "template", "x", tree / "k8s/helm", "--values", tree / "k8s/helm/ci/release-values.yaml"],
        step="render the chart", timeout=SECONDS, quiet=True,
    )  # fmt: skip
    (scratch / "config").mkdir()
    (scratch / "config/rendered.yaml").write_text(chart.stdout, encoding="utf-8")
    (tree / "service/Dockerfile").rename(scratch / "config/Dockerfile")
    scripts = [name for name in ("inv", ".ci/run") if (tree / name).is_file()]
    lines: dict[str, Sequence[str | Path]] = {
        "trufflehog": _trufflehog(program["trufflehog"], folder, f"--since-commit={since}"),
        "safety": [program["safety"], "check", "--db", database, "--json", "-r", scratch / "pins.txt"],
        "trivy": [program["trivy"], "config", "--skip-check-update", "--format", "json", scratch / "config"],
        "bandit": [program["bandit"], "-q", "-r", tree, "-c", tree / code_gate.CONFIG, "-f", "json"],
        "shellcheck": [program["shellcheck"], "--format=json1", *(tree / name for name in scripts)],
    }
    return {name: lambda line=line: _raw(c, line, scratch) for name, line in lines.items()}  # type: ignore[misc]


def _raw(c: Context, line: Sequence[str | Path], cwd: Path) -> None:
    # 64 and 183 are findings of Safety and TruffleHog.
    run(c, line, step=f"{Path(line[0]).name} alone", timeout=SECONDS, cwd=cwd, ok=(0, 1, 64, 183), quiet=True)


def _trufflehog(program: Path, folder: Path, *more: str) -> list[str | Path]:
    return [program, "git", f"file://{folder}", "--branch=main", *more, *secrets_gate.FLAGS]


def rescan(stage: Stage) -> Row:
    """`./inv scan` of a commit that was scanned before: the whole command, answered from evidence."""
    with _checkout(stage.c) as folder:
        _inv(stage.c, folder, "scan")
        ours = []
        for _ in range(QUICK_ROUNDS):
            said: list[str] = []
            ours.append(stage.timed(lambda: said.append(_inv(stage.c, folder, "scan"))))  # noqa: B023 - called at once
            if said[0].count("answered from the evidence") != 4:
                raise Stop("rescan: not every gate was answered from its evidence", Code.COULD_NOT_RUN)
    return Row(
        name="rescan",
        what="scan of an unchanged commit",
        unit="s",
        ours=median(ours),
        limit=1.5,
        notes=[f"median of {QUICK_ROUNDS}: {spread(ours)}"],
    )


def history(stage: Stage) -> Row:
    """`./inv scan.secrets --again` of a history of 10,000 commits, against TruffleHog alone."""
    return _secrets(stage, "secrets", f"secrets in a history of {HISTORY} commits", push=False)


def push(stage: Stage) -> Row:
    """`./inv scan.secrets --again` of one new commit on such a history, against TruffleHog alone."""
    return _secrets(stage, "secrets-push", "secrets in a push of one commit", push=True)


def _secrets(stage: Stage, name: str, what: str, push: bool) -> Row:
    c = stage.c
    with _checkout(c) as folder:
        grow(c, folder, HISTORY)
        since = git.resolve(c, "HEAD~1" if push else "HEAD", folder)
        given = {"CI_COMMIT_BEFORE_SHA": since} if push else {}
        line = _trufflehog(tools.path(c, "trufflehog"), folder, *([f"--since-commit={since}"] if push else []))
        ours, raw = [], []
        for _ in range(ROUNDS + 2 * push):
            ours.append(stage.timed(lambda: _inv(c, folder, "scan.secrets", "--again", env=given)))
            raw.append(stage.timed(lambda: _raw(c, line, folder)))
    return Row(
        name=name,
        what=what,
        unit="s",
        ours=median(ours),
        raw=median(raw),
        raw_what="trufflehog git file://., which clones first",
        limit_ratio=1.1,
        notes=[f"medians of {len(ours)} in turn; ours {spread(ours)}; raw {spread(raw)}"],
    )


def grow(c: Context, folder: Path, commits: int) -> None:
    """Puts this many commits of one small file each on top of a checkout."""
    rnd = random.Random(1)  # noqa: S311 - the same history each time
    stream = folder / ".git/history"
    with stream.open("w", encoding="ascii") as out:
        out.write("feature done\n")
        for number in range(commits):
            text = f"line {number}\n{' '.join(rnd.choice(WORDS) for _ in range(60))}\n"
            parent = f"from {git.head(c, folder)}\n" if not number else ""
            out.write(f"commit refs/heads/main\ncommitter B <b@localhost> {1_800_000_000 + number} +0000\n")
            out.write(f"data 6\nchange\n{parent}M 100644 inline history/{number % 20}/{number % 400}.txt\n")
            out.write(f"data {len(text)}\n{text}\n")
        out.write("done\n")
    script = 'git -C "$1" checkout --quiet --detach && exec git -C "$1" fast-import --quiet <"$2"'
    run(c, ["sh", "-c", script, "sh", folder, stream], step="make a history", timeout=SECONDS, quiet=True)
    git.ask(c, "checkout", "--quiet", "main", repo=folder)
    stream.unlink()
