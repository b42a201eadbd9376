"""The runbooks hold what a tired person relies on: five parts, lines that exist, words that the tasks say."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tasks.lib import commands, paths, runbooks
from tasks.lib.observe import rules
from tasks.lib.runbooks import PARTS, Page
from tests.runbooks import lines
from tests.test_docs import constants

ALERTS = {rule.alert: rule for _, rule in rules.read() if rule.alert}
BY_HAND = {"cluster-lost", "restore-state", "roll-back", "rotate-keys", "stop-the-line"}
PAGES = {page.name: page for page in runbooks.pages()}
INDEX = (runbooks.FOLDER / "README.md").read_text(encoding="utf-8")
SCREEN = 58  # lines of a page; a terminal on call is not small
WIDTH = 125  # characters of a line of prose
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def parts(page: Page) -> dict[str, str]:
    """The text of each part, by its heading, in the page's order."""
    _, *found = re.split(r"^## (.+)$", page.text, flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(found[::2], found[1::2], strict=True)}


def test_each_alert_and_each_thing_done_by_hand_has_its_page() -> None:
    assert set(PAGES) == {*ALERTS, *BY_HAND}
    assert {name for name in PAGES if f"({name}.md)" not in INDEX} == set()


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_says_how_urgent_it_is(name: str) -> None:
    assert f" {ALERTS[name].labels['severity'].capitalize()}" in PAGES[name].first_line()


@every_page
def test_a_page_has_the_five_parts_and_fits_a_screen(page: Page) -> None:
    found = parts(page)
    assert tuple(found) == PARTS
    assert all(found.values())
    assert len(page.text.splitlines()) <= SCREEN
    prose = re.sub(r"^```.*?^```", "", page.text, flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > WIDTH] == []


@every_page
def test_there_are_three_looks_and_they_only_look(page: Page) -> None:
    looks = list(lines.fenced(parts(page)["First three looks"]))
    assert len(looks) == 3
    # These ask before they change anything, or write only what belongs to this machine.
    harmless = lines.LOOKS | {"infra.drift", "infra.plan", "infra.bootstrap", "infra.kubeconfig", "scan.update"}
    assert {name for line in looks if line.startswith("./inv") for name in commands.task_names(line)} <= harmless


@every_page
def test_decisions_say_if_this_then_that(page: Page) -> None:
    decisions = re.findall(r"^- (.*)$", parts(page)["Decisions"], flags=re.MULTILINE)
    assert len(decisions) >= 3
    assert [one for one in decisions if not one.startswith("If ") or ":" not in one] == []


@pytest.mark.slow
@pytest.mark.parametrize("text", [INDEX, *(page.text for page in PAGES.values())], ids=["README", *PAGES])
def test_each_line_to_type_exists_and_is_proven(text: str) -> None:
    found = list(lines.fenced(text))
    assert found
    assert [(line, why) for line in found if (why := lines.wrong(line))] == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("./inv statsu --env $SLIPWAY_ENV", "No idea what 'statsu' is"),
        ("./inv rollback --env $SLIPWAY_ENV --too SHA", "No idea what '--too' is"),
        ("./inv status --env prodution", "no environment 'prodution'"),
        ("./inv lab.down", "no test runs lab.down"),
        ("kubectl -n slipway-production get pods", "it would take any cluster"),
        (f"{lines.WHERE}delete pod x", "changes something past Git"),
        ("rm -rf /", "neither a task, nor kubectl"),
    ],
)
def test_a_line_that_would_not_do_is_found(line: str, why: str) -> None:
    assert why in lines.wrong(line)


@pytest.mark.parametrize("where", sorted(set(lines.ELSEWHERE.values())))
def test_the_tests_that_run_the_other_tasks_are_there(where: str) -> None:
    file, _, name = where.partition("::")
    tree = ast.parse((paths.ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.slow
def test_each_reason_is_still_needed() -> None:
    typed = [line for text in (INDEX, *(page.text for page in PAGES.values())) for line in lines.fenced(text)]
    used = {lines.outside(line) for line in typed} - {""}
    assert used == set(lines.OUTSIDE.values())
    named = {name for line in typed if line.startswith("./inv") for name in commands.task_names(line)}
    assert set(lines.ELSEWHERE) | lines.CHANGES <= named


# ------------------------------------------------------------------------------------------------ what you should see


@cache
def sayings() -> list[re.Pattern[str]]:
    """What the tasks can print: each of their texts, with anything where something is filled in."""
    texts = {text.strip() for file in (paths.ROOT / "tasks").rglob("*.py") for _, text in constants(file)}
    long_enough = [text for text in texts if sum(map(str.isalpha, text.replace("$X", ""))) >= 4 and "\n" not in text]
    return [re.compile(re.escape(text).replace(r"\$X", ".*")) for text in long_enough if text != "warning: $X"]


def said(line: str) -> bool:
    """Whether the line, a cell or a sentence of it, is one of the tasks' texts."""
    text = re.sub(r"^(✓|warning:) | \[y/N\] y$", "", line.strip())
    pieces = [text, *re.split(r"\s{2,}|; ", text)]
    return any(saying.fullmatch(piece) for piece in pieces for saying in sayings())


@pytest.mark.slow
@every_page
def test_what_you_should_see_is_what_the_tasks_say(page: Page) -> None:
    assert [line for line in lines.fenced(page.text, "text") if not said(line)] == []


@pytest.mark.slow
def test_words_that_no_task_says_are_found() -> None:
    assert said("production is what Git says")
    assert not said("production is what Git thinks")
    assert not said("all good")
