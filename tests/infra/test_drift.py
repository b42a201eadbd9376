"""Drift on roots without a provider: a root that is applied in part, and how often Terraform is asked."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.infra import applying, drift, plans, terraform
from tests.infra import world as worlds
from tests.infra.world import HEAD, World

PARTS = (
    HEAD
    + """
variable "parts" { type = list(string) }
resource "terraform_data" "one" {
  for_each = toset(var.parts)
  input    = each.key
}
output "last" { value = terraform_data.one["b"].output }
"""
)


def apply(world: World) -> None:
    world.plan()
    with terraform.ready(world.c, world.place()) as ready:
        applying.apply(ready, plans.read(ready, world.place().saved / plans.PLAN))


def find(world: World) -> list[str]:
    with terraform.ready(world.c, world.place()) as ready:
        return [change.address for change in drift.find(ready)]


@pytest.mark.slow
def test_a_root_that_is_applied_in_part_is_one_sentence(tmp_path: Path, endpoint: str) -> None:
    world = worlds.make(tmp_path, endpoint, PARTS.replace('["b"]', '["a"]'), 'parts = ["a"]\n')
    apply(world)
    assert find(world) == []
    world.write("tf/main.tf", PARTS, commit=False)
    world.write("tf/environments/x.tfvars", 'parts = ["a", "b"]\n')
    with pytest.raises(Stop) as caught:
        find(world)
    assert caught.value.sentence == (
        "infra.drift: local is applied only in part, and the files refer to what is not there yet"
    )
    assert (caught.value.code, caught.value.fix) == (Code.COULD_NOT_RUN, "./inv infra.plan --env local")


def packed(file: Path, recorded: dict[str, Any], found: dict[str, Any] | None) -> Path:
    """A saved plan as far as `drift` reads it."""

    def state(attributes: dict[str, Any] | None) -> str:
        one = {"mode": "managed", "type": "aws_db_instance", "name": "this", "instances": [{"attributes": attributes}]}
        return json.dumps({"resources": [one] if attributes is not None else []})

    with zipfile.ZipFile(file, "w") as written:
        written.writestr("tfstate-prev", state(recorded))
        written.writestr("tfstate", state(found))
    return file


@pytest.mark.parametrize(
    ("found", "spared"),
    [
        ({"latest_restorable_time": "now", "name": "a", "note": None}, True),
        ({"latest_restorable_time": "now", "name": "a", "note": ""}, True),
        ({"latest_restorable_time": "now", "name": "b", "note": None}, False),
        ({"latest_restorable_time": "then", "name": "a", "note": None}, False),  # nothing differs: not what we know
        (None, False),
    ],
    ids=["clock", "clock-and-nothing", "name", "same", "gone"],
)
def test_a_clock_that_moved_asks_no_second_time(tmp_path: Path, found: dict[str, Any] | None, spared: bool) -> None:
    recorded = {"latest_restorable_time": "then", "name": "a", "note": None}
    assert drift._only_clocks(packed(tmp_path / "plan", recorded, found)) is spared


def test_a_plan_of_another_form_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "plan").write_bytes(b"not a zip")
    assert not drift._only_clocks(tmp_path / "plan")
    with zipfile.ZipFile(tmp_path / "empty", "w") as written:
        written.writestr("tfstate", "{}")
    assert not drift._only_clocks(tmp_path / "empty")


@pytest.mark.slow
def test_init_is_done_again_only_where_something_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = terraform.Terraform.call

    def call(self: terraform.Terraform, *words: str, **options: object) -> object:
        calls.append(str(words[0]))
        return real(self, *words, **options)  # type: ignore[arg-type]

    def inits() -> int:
        calls.clear()
        with terraform.ready(world.c, world.place()):
            return calls.count("init")

    monkeypatch.setattr(terraform.Terraform, "call", call)
    assert (inits(), inits()) == (1, 0)
    world.write("tf/more.tf", 'module "one" { source = "./one" }\n', commit=False)
    world.write("tf/one/main.tf", "")
    assert (inits(), inits()) == (1, 0)
    (world.place().data / "terraform.tfstate").unlink()
    assert (inits(), inits()) == (1, 0)
    calls.clear()
    assert find(world) == []
    assert calls == ["plan"]
