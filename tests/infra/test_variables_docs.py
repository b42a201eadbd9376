"""The reference of variables and outputs: what is in it, and that it is of today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.lib import paths
from tasks.lib.errors import Stop
from tasks.lib.infra import variables_docs

MAIN = """
variable "size" {
  description = "How much | how many."
  type        = object({ a = string, b = optional(number, 3) })
  default     = { a = "x" }
}

variable "name" {
  description = <<-E
    Two
    lines.
  E
  type        = string
}

variable "token" {
  type      = string
  default   = "hunter2"
  sensitive = true
}

output "id" {
  description = "Who."
  value       = 1
}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / variables_docs.ROOT_FOLDER
    (folder / "modules" / "inner").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (folder / "main.tf").write_text(MAIN)
    (folder / "modules" / "inner" / "outputs.tf").write_text('output "x" {\n  value     = 1\n  sensitive = true\n}\n')
    return tmp_path


def test_golden(root: Path) -> None:
    text = variables_docs.write(root).read_text()
    assert text.removeprefix(variables_docs.HEAD) == (
        "\n## The root\n"
        "\n| variable | type | default | what |\n|---|---|---|---|"
        "\n| `name` | `string` | required | Two lines. |"
        '\n| `size` | `object({a = string, b = optional(number, 3)})` | `{"a": "x"}` | How much \\| how many. |'
        "\n| `token` | `string` | not shown | no description (sensitive) |"
        "\n\n| output | what |\n|---|---|"
        "\n| `id` | Who. |"
        "\n\n## Module `inner`\n"
        "\n| output | what |\n|---|---|"
        "\n| `x` | no description (sensitive) |\n"
    )


def test_a_changed_file_makes_the_page_stale(root: Path) -> None:
    assert variables_docs.stale(root)
    variables_docs.write(root)
    assert not variables_docs.stale(root)
    with (root / variables_docs.ROOT_FOLDER / "main.tf").open("a") as file:
        file.write('variable "new" {}\n')
    assert variables_docs.stale(root)


def test_where_there_is_no_terraform_no_page_is_missed(tmp_path: Path) -> None:
    assert not variables_docs.stale(tmp_path)


def test_what_is_no_hcl_is_one_sentence(root: Path) -> None:
    (root / variables_docs.ROOT_FOLDER / "main.tf").write_text("variable {{{")
    with pytest.raises(Stop, match=r"main\.tf.* is no HCL"):
        variables_docs.render(root / variables_docs.ROOT_FOLDER)


def test_our_own_page_is_of_today_and_every_variable_is_described() -> None:
    assert not variables_docs.stale(), variables_docs.COMMAND
    assert "no description" not in (paths.ROOT / variables_docs.FILE).read_text(encoding="utf-8")
