"""Debian packages: what is asked, what is refused, and that no service is started."""

from __future__ import annotations

import os
import shutil
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
        assert os.system(str(policy)) >> 8 == 101
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
