"""Image archives: what Docker and containerd expect, shared layers once, the same bytes for the same input."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

from tasks.lib.lab import archive
from tasks.lib.lab.archive import Entry, Image

DAY = "2026-01-01T00:00:00Z"


def layers(folder: Path) -> tuple[Path, Path]:
    program = folder / "program"
    program.write_text("#!/bin/sh\n")
    below = archive.layer(folder / "below.tar", [Entry("bin/program", source=program)])
    above = archive.layer(folder / "above.tar", [Entry("bin/link", link="program"), Entry("data", uid=999, mode=0o700)])
    return below, above


def test_a_layer_holds_files_links_and_folders_with_owner_and_mode(tmp_path: Path) -> None:
    below, above = layers(tmp_path)
    with tarfile.open(below) as tar:
        assert (tar.getmember("bin/program").mode, tar.getmember("bin/program").size) == (0o755, 10)
    with tarfile.open(above) as tar:
        assert tar.getmember("bin/link").linkname == "program"
        folder = tar.getmember("data")
        assert (folder.isdir(), folder.uid, folder.mode) == (True, 999, 0o700)


def test_images_share_a_layer_and_ids_are_digests_of_their_configuration(tmp_path: Path) -> None:
    below, above = layers(tmp_path)
    wanted = [Image("a:1", [below, above], {"User": "999"}), Image("b:1", [below])]
    ids = archive.write(tmp_path / "images.tar", wanted, DAY)
    with tarfile.open(tmp_path / "images.tar") as tar:
        names = tar.getnames()
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
        configs = {row["RepoTags"][0]: tar.extractfile(row["Config"]).read() for row in manifest}  # type: ignore[union-attr]
    assert len(names) == len(set(names)) == 2 + 2 + 1
    assert manifest[0]["Layers"][0] == manifest[1]["Layers"][0]
    assert ids == {name: f"sha256:{hashlib.sha256(text).hexdigest()}" for name, text in configs.items()}
    config = json.loads(configs["a:1"])
    assert config["config"] == {"User": "999"}
    assert config["rootfs"]["diff_ids"][0] == f"sha256:{archive.digest(below)}"


def test_the_same_input_gives_the_same_ids(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    ids = []
    for folder in (first, second):
        folder.mkdir()
        ids.append(archive.write(folder / "i.tar", [Image("a:1", layers(folder))], DAY))
    assert ids[0] == ids[1]
    assert archive.digest(first / "i.tar") == archive.digest(second / "i.tar")


def test_a_delta_holds_what_is_new_or_changed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("same", "old", "new", "linked"):
        (tmp_path / name).write_text(name)
    same = Entry("etc/same", source=tmp_path / "same")
    lower = archive.layer(tmp_path / "lower.tar", [Entry("etc"), same, Entry("status", source=tmp_path / "old")])
    upper = archive.layer(
        tmp_path / "upper.tar",
        [Entry("etc"), same, Entry("status", source=tmp_path / "new"), Entry("bin/link", link="tool")],
    )
    with tarfile.open(upper, "a") as tar:
        hard = tarfile.TarInfo("etc/hard")
        hard.type, hard.linkname = tarfile.LNKTYPE, "etc/same"
        tar.addfile(hard)
    with tarfile.open(archive.delta(tmp_path / "delta.tar", lower, upper)) as tar:
        assert tar.getnames() == ["status", "bin/link", "etc/hard"]
        assert tar.extractfile("status").read() == b"new"  # type: ignore[union-attr]
        assert tar.getmember("etc/hard").isreg()
        assert tar.extractfile("etc/hard").read() == b"same"  # type: ignore[union-attr]
