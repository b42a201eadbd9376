"""Debian packages: what is asked, what is refused, and that no service is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.tools import apt
from tasks.lib.tools.apt import absent, debian, services_stay_off

on_debian = pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="asks dpkg")


@on_debian
def test_installed_packages_are_not_absent(c: Context) -> None:
    assert absent(c, ["dpkg", "slipway-no-such-package", "dpkg", "coreutils"]) == ["slipway-no-such-package"]
    assert debian(c, ["dpkg", "coreutils"]) == []


@on_debian
def test_without_root_the_line_to_type_is_named(c: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Stop, match="needs root") as stopped:
        debian(c, ["slipway-no-such-package"])
    assert stopped.value.code == Code.COULD_NOT_RUN
    assert stopped.value.fix == "sudo apt-get install slipway-no-such-package"


def test_another_distribution_is_one_sentence(c: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Stop, match="not Debian: install runc") as stopped:
        debian(c, ["runc"])
    assert stopped.value.code == Code.COULD_NOT_RUN


def test_services_stay_off_while_packages_are_installed(tmp_path: Path) -> None:
    policy = tmp_path / "sbin" / "policy-rc.d"
    with services_stay_off(policy):
        assert subprocess.run([policy], timeout=60).returncode == 101
    assert not policy.exists()


def test_a_policy_that_was_there_is_put_back(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(RuntimeError), services_stay_off(policy):
        assert "exit 101" in policy.read_text()
        raise RuntimeError
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert list(tmp_path.iterdir()) == [policy]


def test_what_a_killed_install_left_is_put_right(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text(f"#!/bin/sh\n{apt.MARK}\nexit 101\n")
    (tmp_path / "policy-rc.d.before-slipway").write_text("theirs")
    with services_stay_off(policy):
        pass
    assert policy.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [policy]


def test_no_package_is_ever_removed_to_make_room() -> None:
    assert "--no-remove" in apt.INSTALL


@pytest.fixture
def own_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """apt-get with a mirror list and package lists of its own; it changes nothing of this machine's."""
    sources = tmp_path / "sources.list"
    sources.write_text("")
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    ours = {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "-", "Dir::State::lists": tmp_path / "lists"}
    ours |= {"Dir::Cache": tmp_path, "Debug::NoLocking": "1", "Acquire::Retries": "0", "APT::Sandbox::User": ""}
    flags = [word for key, value in ours.items() for word in ("-o", f"{key}={value}")]
    monkeypatch.setattr(apt, "APT", [*apt.APT, *flags])
    monkeypatch.setattr(apt, "INSTALL", [*apt.INSTALL[:-1], *flags, "install"])
    return sources


@on_debian
def test_mirror_out_of_reach_is_one_sentence(c: Context, own_apt: Path) -> None:
    own_apt.write_text("deb [trusted=yes] http://127.0.0.1:9/debian bookworm main\n")
    with pytest.raises(Stop) as stop:
        apt._install(c, ["slipway-none"])
    assert stop.value.code == Code.COULD_NOT_RUN
    sentence = "slipway-none cannot be installed: the Debian mirror (/etc/apt/sources.list.d) is out of reach"
    assert stop.value.sentence == sentence
    assert stop.value.fix == "apt-get update && apt-get install slipway-none"


@on_debian
def test_package_that_does_not_exist_is_named(c: Context, own_apt: Path) -> None:
    with pytest.raises(Stop, match="cannot be installed: Unable to locate package slipway-none") as stopped:
        apt._install(c, ["slipway-none"])
    assert stopped.value.code == Code.COULD_NOT_RUN
