"""`./inv runbook`: the right page with the right environment, and never anything else than a page."""

from __future__ import annotations

import subprocess

import pytest
from invoke.context import Context

from front_door import spelled_out
from tasks import runbook as task
from tasks.lib import paths, runbooks, settings, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.runbooks import Page
from tests.runbooks import lines

MADE = {"registry": {"repository": "registry.example.com/x"}, "git": {"url": "https://git.example.com/x.git"}}


def environment(cluster: dict[str, str]) -> settings.Environment:
    return settings.Environment.model_validate({**MADE, "name": "made", "cluster": cluster})


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([paths.ROOT / "inv", *words], cwd=paths.ROOT, capture_output=True, text=True, timeout=120)


def test_the_environment_is_filled_in(c: Context, capsys: pytest.CaptureFixture[str]) -> None:
    task.runbook(c, name="HighErrorRate", env="production")
    page = capsys.readouterr().out
    assert page.startswith("# HighErrorRate\n")
    assert "./inv rollback --env production " in page
    assert "kubectl --context production -n slipway-production logs " in page
    assert "`./inv runbook roll-back --env production`" in page
    assert "SLIPWAY" not in page
    assert [line for line in lines.fenced(page) if line.startswith("./inv") and lines.wrong(line)] == []


def test_without_an_environment_it_says_what_to_export_first(c: Context, capsys: pytest.CaptureFixture[str]) -> None:
    task.runbook(c, name="HighErrorRate")
    first, second, *_ = lines.fenced(capsys.readouterr().out)
    assert first.startswith("export SLIPWAY_ENV=production SLIPWAY_CONTEXT=production ")
    assert second.startswith("./inv status --env $SLIPWAY_ENV ")


@pytest.mark.parametrize(
    ("cluster", "context", "first"),
    [
        ({"kind": "lab"}, "slipway-lab", "export KUBECONFIG=/"),
        ({"kind": "eks", "name": "big"}, "made", "./inv infra.kubeconfig --env made "),
        ({"kind": "context", "context": "mine", "kubeconfig": "/k"}, "mine", "export KUBECONFIG=/k"),
        ({"kind": "context", "context": "mine"}, "mine", "kubectl --context mine "),
    ],
)
def test_kubectl_takes_the_environments_cluster(cluster: dict[str, str], context: str, first: str) -> None:
    page = Page("X", f"# X\n\n## First three looks\n\n```sh\nkubectl --context {runbooks.CONTEXT} get nodes\n```\n")
    page_lines = list(lines.fenced(runbooks.filled(page, environment(cluster))))
    assert page_lines[0].startswith(first)
    assert page_lines[-1] == f"kubectl --context {context} get nodes"


def test_a_page_that_needs_no_kubectl_is_not_told_what_it_needs() -> None:
    page = Page("X", "# X\n\n## First three looks\n\n```sh\n./inv status\n```\n")
    assert list(lines.fenced(runbooks.filled(page, environment({"kind": "lab"})))) == ["./inv status"]


@pytest.mark.parametrize("name", ["HighErrorRate", "higherrorrate", "high-error-rate"])
def test_case_and_hyphens_do_not_matter(name: str) -> None:
    assert runbooks.find(name).name == "HighErrorRate"
    assert runbooks.find("rollback").name == "roll-back"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("HighErorRate", "near: HighErrorRate"),
        ("latency", "near: HighLatencyP95, LatencyBudgetBurnFast, "),
        ("qqqqqq", "there are: ArgoAppOutOfSync, "),
    ],
)
def test_an_unknown_name_is_one_sentence_with_the_near_ones(name: str, says: str) -> None:
    with pytest.raises(Stop) as stopped:
        runbooks.find(name)
    assert stopped.value.code == Code.USAGE
    assert f"there is no runbook '{name}'; {says}" in stopped.value.sentence
    assert "\n" not in stopped.value.sentence
    assert stopped.value.fix.startswith("./inv runbook")


def test_without_a_name_all_are_listed_with_what_they_are_about(c: Context, capsys: pytest.CaptureFixture[str]) -> None:
    task.runbook(c, env="staging")
    out = capsys.readouterr().out
    assert [page.name for page in runbooks.pages() if f"\n{page.name} " not in out] == []
    assert "Requests fail in staging: " in out
    assert "SLIPWAY" not in out


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        (["runbook"], ["runbook"]),
        (["runbook", "A"], ["runbook", "--name", "A"]),
        (["-e", "runbook", "A", "--env", "b"], ["-e", "runbook", "--name", "A", "--env", "b"]),
        (["runbook", "--env", "b", "A"], ["runbook", "--env", "b", "--name", "A"]),
        (["runbook", "--env=b", "A"], ["runbook", "--env=b", "--name", "A"]),
        (["runbook", "--env", "b"], ["runbook", "--env", "b"]),
        (["status", "--env", "b"], ["status", "--env", "b"]),
    ],
)
def test_the_bare_word_is_the_name(typed: list[str], taken: list[str]) -> None:
    assert spelled_out(["./inv", *typed]) == ["./inv", *taken]


@pytest.mark.slow
def test_as_people_type_it() -> None:
    page = run("runbook", "ServiceDown", "--env", "production")
    assert (page.returncode, page.stderr) == (0, "")
    assert "./inv gitops.drift --env production" in page.stdout
    # Also a word that is a task is a page's name here: nothing but a page is ever shown.
    back = run("runbook", "--env", "production", "rollback")
    assert (back.returncode, back.stdout.partition("\n")[0]) == (0, "# Roll back")
    for words in (["runbook", "smoke"], ["runbook", "HighErrorRate", "--env", "nowhere"]):
        refused = run(*words)
        assert (refused.returncode, refused.stdout) == (2, "")


def test_lines_are_laid_out_but_never_cut_or_wrapped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    monkeypatch.setattr(
        terminal, "_console", lambda: Console(force_terminal=True, width=60, no_color=True, soft_wrap=True)
    )
    prose = "word " * 40
    line = f"./inv freeze --env production --until 4h --reason '{'why ' * 20}'"
    terminal.page(f"# Title\n\n- {prose}\n\n```sh\n{line}\n```\n")
    out = capsys.readouterr().out
    assert line in out
    assert out.count("word") == 40
    assert max(len(shown) for shown in out.splitlines() if "word" in shown) <= 70


def test_the_word_as_a_value_of_another_task_is_left_alone() -> None:
    words = ["inv", "freeze", "--until", "1h", "--reason", "runbook", "status"]
    assert spelled_out(words) == words
    assert spelled_out(["inv", "--dry", "runbook", "X"]) == ["inv", "--dry", "runbook", "--name", "X"]
