"""The map of commands as people meet it: listed at once, one line each, every option explained, nothing positional."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest
from invoke.collection import Collection
from invoke.tasks import Task

import tasks
from tasks.lib import paths

LIST = [paths.ROOT / "inv", "--list"]


def every_task(collection: Collection = tasks.ns, prefix: str = "") -> Iterator[tuple[str, Task]]:
    for name, task in collection.tasks.items():
        yield prefix + name, task
    for name, below in collection.collections.items():
        yield from every_task(below, f"{prefix}{name}.")


ALL = dict(every_task())


def output(*words: object) -> str:
    done = subprocess.run([*map(str, words)], cwd=paths.ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_the_list_is_there_at_once() -> None:
    # ./inv bench measures how fast; slow is what loads a library, and only Invoke and its own may be loaded for a list.
    line = [sys.executable, "-X", "importtime", "front_door.py", "--search-root", paths.ROOT, "--list"]
    done = subprocess.run(line, cwd=paths.ROOT, capture_output=True, text=True, timeout=60, check=True)
    loaded = {row.rpartition("|")[2].strip().partition(".")[0] for row in done.stderr.splitlines()}
    assert {"invoke", "tasks"} <= loaded
    known = {*sys.stdlib_module_names, "invoke", "tasks", "yaml"}
    installed = {name for name in packages_distributions() if not name.startswith("_")}  # setuptools has a hook
    assert (loaded & installed) - known == set()


def test_the_list_names_every_task() -> None:
    listed = output(*LIST)
    for name in tasks.ns.task_names:
        assert f"  {name} " in listed or f"  {name}\n" in listed, name


def test_a_reader_that_stops_early_is_no_error() -> None:
    for line in ("--list", "--help"):
        done = subprocess.run(
            ["sh", "-c", f"./inv {line} | head -n 1"], cwd=paths.ROOT, capture_output=True, text=True, timeout=60
        )
        assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_python_m_invoke_shows_the_same() -> None:
    assert output(sys.executable, "-m", "invoke", "--list") == output(*LIST)


def test_listing_loads_no_sdk() -> None:
    heavy = "{'boto3', 'docker', 'flask', 'kubernetes', 'pydantic', 'requests', 'ruamel.yaml'}"
    code = f"import sys, tasks; print(sorted({heavy} & set(sys.modules)))"
    assert output(sys.executable, "-c", code) == "[]\n"


@pytest.mark.parametrize("name", ALL)
def test_each_task_says_in_one_line_what_it_does(name: str) -> None:
    first, _, more = (ALL[name].__doc__ or "").partition("\n")
    assert 10 < len(first) <= 60, first
    assert first.endswith("."), first
    assert not more or more.startswith("\n")


@pytest.mark.parametrize("name", ALL)
def test_each_option_has_a_default_and_a_help_and_no_surprise(name: str) -> None:
    task = ALL[name]
    assert not task.pre
    assert not task.post
    for argument in copy.deepcopy(task).get_arguments():  # Invoke takes the help texts out of the task
        # A required positional swallows the next word: `inv rollback --dry` would really roll back.
        assert not argument.positional, argument.name
        assert argument.help, argument.name
        # Short flags that Invoke hands out change whenever an option is added.
        assert len(argument.names) == 1, argument.names
