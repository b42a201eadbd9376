"""Where a program is taken from, and which versions will do."""

from __future__ import annotations

import os
import time

import pytest
from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.tools import find, path, pins, versions
from tests.lib.own_tools import OwnTools, go_rows, own

__all__ = ["own"]

ROW = """
    - name: scanner
      how: pypi
      group: scanner
      version: 0.74.0
      file: scanner
      on_path: {minimum: '0.70', below: '0.80'}
      refused: ['0.71.4']
      refused_because: a compromised release
      needed_for: tests
"""


@pytest.fixture
def scanner(own: OwnTools) -> OwnTools:
    own.pins(ROW)
    (own.folder / "scanner").mkdir()
    (own.folder / "scanner" / "requirements.txt").write_text("scanner==0.74.0\n")
    return own


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("Docker version 28.2.2, build e6534b4", "28.2.2"),
        ("go version go1.26.8 linux/amd64", "1.26.8"),
        ("v20.20.2", "20.20.2"),
        ("Client Version: v1.34.2\nKustomize Version: v5.7.1", "1.34.2"),
        ("CoreDNS-1.12.4\nlinux/amd64, go1.26.8, ", "1.12.4"),
        ("ip utility, iproute2-6.1.0, libbpf 1.1.0", "6.1.0"),
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", "1.6.20"),
        ("argocd: v3.2.1+unknown", "3.2.1"),
        ("github.com/docker/buildx v0.37.0 ", "0.37.0"),
        ("usage: hey [options]", ""),
        ("", ""),
    ],
)
def test_version_is_read_from_what_programs_print(printed: str, version: str) -> None:
    assert versions.read(printed) == version


@pytest.mark.parametrize(
    ("version", "minimum", "below", "fits"),
    [
        ("1.34.2", "1.34.2", "1.35", True),
        ("1.34.10", "1.34.2", "1.35", True),
        ("1.35.0", "1.34.2", "1.35", False),
        ("1.34.1", "1.34.2", "1.35", False),
        ("3.7", "3.7.0", "", True),
        ("3.7.0", "", "3.7", False),
        ("", "1.0", "", False),
        ("", "", "", True),
    ],
)
def test_bounds(version: str, minimum: str, below: str, fits: bool) -> None:
    assert versions.within(version, minimum, below) is fits


def test_good_enough_on_path_comes_first(scanner: OwnTools, c: Context) -> None:
    scanner.in_cache("scanner")
    there = scanner.on_path("scanner", "scanner 0.72.0")
    found = find.look(c, pins.pin("scanner")).found
    assert found == find.Found(there, "0.72.0", "PATH")
    assert path(c, "scanner") == there


@pytest.mark.parametrize("says", ["scanner 0.69.9", "scanner 0.80.0", "no number here"])
def test_what_does_not_fit_on_path_is_passed_over_for_the_cache(scanner: OwnTools, c: Context, says: str) -> None:
    ours = scanner.in_cache("scanner")
    scanner.on_path("scanner", says)
    look = find.look(c, pins.pin("scanner"))
    assert look.found == find.Found(ours, "0.74.0", "cache")
    assert "wanted 0.70 or newer, below 0.80" in look.rejected[0]


def test_refused_version_is_never_run_although_it_is_within_the_bounds(scanner: OwnTools, c: Context) -> None:
    ours = scanner.in_cache("scanner")
    scanner.on_path("scanner", "Version: 0.71.4")
    look = find.look(c, pins.pin("scanner"))
    assert look.found is not None
    assert look.found.path == ours
    assert "0.71.4: refused, a compromised release" in look.rejected[0]


@pytest.mark.parametrize("version", ["0.69.4", "0.69.5", "0.69.6"])
def test_compromised_trivy_is_refused(version: str) -> None:
    assert "refused" in find.unfit(pins.read.__wrapped__(pins.file())["trivy"], version)


@pytest.mark.parametrize("name", ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubeadm"])
def test_cluster_components_of_another_minor_will_not_do(name: str) -> None:
    row = pins.pin(name)
    assert find.unfit(row, "1.34.5") == ""
    assert find.unfit(row, "1.33.9")
    assert find.unfit(row, "1.35.0")


def test_ours_only_ignores_path(scanner: OwnTools, c: Context) -> None:
    scanner.pins(ROW.replace("{minimum: '0.70', below: '0.80'}", "{use: false}"))
    pins.read.cache_clear()
    scanner.on_path("scanner", "scanner 0.74.0")
    assert find.look(c, pins.pin("scanner")).found is None


def test_program_that_hangs_when_asked_is_passed_over(
    scanner: OwnTools, c: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "ASK_SECONDS", 0.3)
    scanner.on_path("scanner", "").write_text("#!/bin/sh\nexec sleep 5\n")
    began = time.monotonic()
    assert find.look(c, pins.pin("scanner")).found is None
    assert time.monotonic() - began < 4


def test_a_program_is_asked_once_and_again_when_it_changed(scanner: OwnTools, c: Context) -> None:
    asked = scanner.programs / "asked"
    program = scanner.on_path("scanner", "")
    program.write_text(f"#!/bin/sh\necho x >>{asked}\necho 0.72.0\n")
    for _ in range(3):
        find.look(c, pins.pin("scanner"))
    assert asked.read_text().count("x") == 1
    program.write_text(f"#!/bin/sh\necho x >>{asked}\necho 0.73.11\n")
    os.utime(program, ns=(1, 1))
    found = find.look(c, pins.pin("scanner")).found
    assert found is not None
    assert found.version == "0.73.11"


def test_missing_program_of_the_system_says_what_installs_it(own: OwnTools, c: Context) -> None:
    own.pins("- {name: nowhere, how: path, group: system, install: apt-get install nowhere, needed_for: tests}\n")
    with pytest.raises(Stop) as stopped:
        path(c, "nowhere")
    assert stopped.value.code == Code.COULD_NOT_RUN
    assert stopped.value.fix == "apt-get install nowhere"


def test_a_file_of_a_package_is_found_where_the_pin_says(own: OwnTools, c: Context) -> None:
    plugin = own.on_path("bridge", "")
    row = f"name: cni, how: deb, group: lab-engine, package: cni, file: {plugin}, version_args: [], needed_for: tests"
    own.pins(f"- {{{row}}}\n")
    assert path(c, "cni") == plugin
    plugin.unlink()
    assert find.look(c, pins.pin("cni")).found is None


def test_go_rows_are_valid(own: OwnTools) -> None:
    own.pins(go_rows("one", "two"))
    assert list(pins.known()) == ["go", "one", "two"]
