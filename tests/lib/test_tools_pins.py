"""The pins that the repository ships, and what the table refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.tools import gobuild, pins, versions
from tests.lib.own_tools import OwnTools, go_rows, own

__all__ = ["own"]

SHIPPED = pins.read(pins.file())
GO = [row for row in SHIPPED.values() if isinstance(row, pins.GoPin)]


@pytest.mark.parametrize("row", GO, ids=lambda row: row.name)
def test_go_pin_is_the_version_that_its_module_locks(row: pins.GoPin) -> None:
    module = (pins.folder_of(row) / "go.mod").read_text()
    assert re.search(rf"^(require )?\s*{re.escape(row.module)} v{re.escape(row.version)}\b", module, re.MULTILINE)
    assert f"{row.module} v{row.version} h1:" in (pins.folder_of(row) / "go.sum").read_text()


@pytest.mark.parametrize("row", GO, ids=lambda row: row.name)
def test_pinned_go_is_new_enough_for_every_module(row: pins.GoPin) -> None:
    demand = re.search(r"^go (\S+)$", (pins.folder_of(row) / "go.mod").read_text(), re.MULTILINE)
    assert demand
    assert versions.within(SHIPPED["go"].on_path.minimum, minimum=demand.group(1))
    assert versions.within(SHIPPED["go"].version, minimum=demand.group(1))  # type: ignore[union-attr]


@pytest.mark.parametrize("row", SHIPPED.values(), ids=lambda row: row.name)
def test_wheels_and_node_programs_are_locked_at_the_pinned_version_without_a_host(row: pins.AnyPin) -> None:
    if isinstance(row, pins.PypiPin):
        lock = (pins.folder_of(row) / "requirements.txt").read_text()
        assert re.search(rf"^[a-z-]+=={re.escape(row.version)} .*\\$", lock, re.MULTILINE)
        assert "://" not in lock
    if isinstance(row, pins.NpmPin):
        lock = json.loads((pins.folder_of(row) / "package-lock.json").read_text())
        assert lock["packages"][f"node_modules/{row.name}"]["version"] == row.version
        assert not any("resolved" in package for package in lock["packages"].values())


@pytest.mark.parametrize("row", SHIPPED.values(), ids=lambda row: row.name)
def test_the_version_that_we_install_would_be_good_enough_on_path(row: pins.AnyPin) -> None:
    version = getattr(row, "version", "")
    if version and row.on_path.use:
        assert versions.within(version, row.on_path.minimum, row.on_path.below)
        assert version not in row.refused


def test_unknown_key_is_refused_with_file_row_and_key(own: OwnTools) -> None:
    own.pins(go_rows("quick") + "      colour: red\n")
    with pytest.raises(Stop) as stopped:
        pins.known()
    assert stopped.value.code == Code.USAGE
    assert "pins.yaml: programs.quick.go.colour: unknown key" in str(stopped.value)


def test_a_name_twice_is_refused(own: OwnTools) -> None:
    own.pins(go_rows("quick", "quick"))
    with pytest.raises(Stop, match="named twice: quick"):
        pins.known()


def test_broken_yaml_is_one_sentence(own: OwnTools) -> None:
    (own.folder / "pins.yaml").write_text("programs: [")
    with pytest.raises(Stop, match="cannot be read"):
        pins.known()


def test_unknown_program_and_group_name_the_known_ones() -> None:
    with pytest.raises(Stop, match=r"no external program 'hlem'; known: .*helm") as program:
        pins.pin("hlem")
    with pytest.raises(Stop, match=r"no group 'plattform'; known: .*platform") as group:
        pins.chosen(group="plattform")
    assert program.value.fix == group.value.fix == "./inv tools.list"
    assert [row.name for row in pins.chosen("helm, trivy")] == ["helm", "trivy"]
    assert {row.group for row in pins.chosen(group="platform")} == {"platform"}


@pytest.mark.parametrize("change", ["go.mod", "go.sum", "quick/main.go"])
def test_another_lock_or_source_is_another_place_in_the_cache(own: OwnTools, change: str) -> None:
    own.pins(go_rows("quick"))
    module = own.go_module()
    before = pins.target(pins.pin("quick"))
    with Path(module / change).open("a") as file:
        file.write("\n")
    after = pins.target(pins.pin("quick"))
    assert after.parent.parent == before.parent.parent
    assert after != before


def test_another_linker_flag_is_another_place_in_the_cache(own: OwnTools) -> None:
    own.pins(go_rows("quick"))
    own.go_module()
    row = pins.pin("quick")
    assert pins.target(row.model_copy(update={"ldflags": "-X main.version=2"})) != pins.target(row)
    assert pins.target(row.model_copy(update={"needed_for": "something else"})) == pins.target(row)


def test_no_two_programs_of_a_batch_have_one_file_name() -> None:
    """One call of Go writes a whole batch into one folder."""
    for batch in gobuild.batches(pins.known().values()):
        files = [gobuild.file_name(row) for row in batch if isinstance(row, pins.GoPin)]
        assert len(files) == len(set(files)), files
        assert len(files) < 2 or "." not in files, "Go names the main of a module's own folder otherwise"
