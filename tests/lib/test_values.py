"""The bump edits the release lines and no other byte."""

from __future__ import annotations

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.paths import ROOT
from tasks.lib.values import NOTHING, Release, edit, read

NEW = Release(revision="a" * 40, repository="127.0.0.1:5000/x", tag="a" * 40, digest="sha256:" + "b" * 64)

CORPUS = {
    "plain": 'release:\n  revision: ""\n  repository: ""\n  tag: ""\n  digest: ""\nvalues: {}\n',
    "comments": '# top\nrelease:  # pinned\n    revision: ""   # sha\n    repository: ""\n    tag: ""\n\n'
    '    digest: ""  # by registry\nvalues:\n  a:   1   # keep\n',
    "flow": 'release: {revision: "", repository: "", tag: "", digest: ""}\nvalues: {b: [1,  2]}\n',
    "anchors": "values: &v\n  x: 'yes'\nmore: *v\nrelease:\n"
    '  digest: ""\n  tag: ""\n  repository: ""\n  revision: ""\n',
    "crlf": 'release:\r\n  revision: ""\r\n  repository: ""\r\n  tag: ""\r\n  digest: ""\r\nvalues:\r\n  a: 1\r\n',
    "no end": 'values: {}\nrelease:\n  revision: ""\n  repository: ""\n  tag: ""\n  digest: ""',
    "long": "values:\n  motd: "
    + "word " * 60
    + '\nrelease:\n  revision: ""\n  repository: ""\n  tag: ""\n  digest: ""\n',
}


@pytest.mark.parametrize("name", CORPUS)
def test_edit_changes_the_release_lines_only(name: str) -> None:
    text = CORPUS[name]
    edited = edit(text, NEW, "values.yaml")
    assert read(edited, "values.yaml") == NEW
    for quoted in (NEW.revision, NEW.repository, NEW.digest):
        edited = edited.replace(f'"{quoted}"', "~")
    assert edited == text.replace('""', "~")


@pytest.mark.parametrize("name", CORPUS)
def test_edit_and_back_is_the_identity(name: str) -> None:
    text = CORPUS[name]
    assert edit(edit(text, NEW, "f"), NOTHING, "f") == text


def test_the_shipped_environments_can_be_edited() -> None:
    for path in (ROOT / "gitops/environments").glob("*/values.yaml"):
        assert edit(path.read_text(), NEW, str(path)).count("\n") == path.read_text().count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "release: 3",
        "values: {}",
        "release: {revision: abc, tag: '', digest: '', repository: ''}",
        "{",
        "a: *b",
    ],
)
def test_bad_files_are_one_sentence(text: str) -> None:
    with pytest.raises(Stop) as caught:
        edit(text, NEW, "values.yaml")
    assert caught.value.code == Code.USAGE
    assert "values.yaml" in caught.value.sentence


def test_a_missing_line_is_named() -> None:
    with pytest.raises(Stop, match=r"release\.digest is missing"):
        edit('release: {revision: "", repository: "", tag: ""}', NEW, "values.yaml")
