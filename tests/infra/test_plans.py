"""Saved plans: bound to what they are of, used once, and refused with a sentence when anything differs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.infra import applying, plans, state, terraform
from tasks.lib.infra_settings import State
from tests.infra import world as worlds
from tests.infra.world import HEAD, World

TAGGED = HEAD + 'variable "word" { type = string }\nresource "terraform_data" "tag" { input = var.commit }\n'


def apply(world: World, work: str = "work") -> None:
    here = world.place(work)
    plans.load(here)
    with terraform.ready(world.c, here) as ready:
        applying.apply(ready, plans.read(ready, here.saved / plans.PLAN))


def refused(world: World) -> Stop:
    before = world.state()
    with pytest.raises(Stop) as caught:
        apply(world)
    assert world.state() == before
    return caught.value


@pytest.mark.slow
def test_a_plan_is_applied_once_and_the_next_one_is_empty(world: World) -> None:
    planned = world.plan()
    assert [change.address for change in planned.acting] == ["terraform_data.one"]
    here = world.place()
    assert (here.saved / plans.PLAN).stat().st_mode & 0o077 == 0
    assert json.loads((here.saved / plans.REPORT).read_text()) == {"create": 1, "update": 0, "delete": 0}
    apply(world)
    stop = refused(world)
    assert (stop.code, stop.fix) == (Code.REFUSED, "./inv infra.plan --env local")
    assert "there is no saved plan" in stop.sentence
    assert world.plan().empty
    with terraform.ready(world.c, here) as ready:
        assert state.output(ready, "word") == "first"
        assert state.outputs(ready)["password"].shown == "(sensitive)"
        with pytest.raises(Stop, match="sensitive") as caught:
            state.output(ready, "password")
        assert caught.value.code == Code.REFUSED


@pytest.mark.slow
def test_a_plan_of_another_commit_is_refused(world: World) -> None:
    world.plan()
    world.write("README.md", "another commit")
    stop = refused(world)
    assert stop.code == Code.REFUSED
    assert "is of commit" in stop.sentence


@pytest.mark.slow
def test_the_tags_name_the_commit_that_last_changed_the_infrastructure(world: World) -> None:
    """Else every commit of the service would plan a new tag for everything that there is."""

    def tagged() -> str:
        here = world.place()
        assert here.commit == world.git("rev-parse", "HEAD")
        return here.given["commit"]

    first = tagged()
    for name in ("README.md", "tf/README.md", "tf/tests/one.tftest.hcl", "tf/environments/y.tfvars"):
        world.write(name, "of no account")
        assert tagged() == first, name
    for name in ("tf/environments/x.tfvars", "tf/main.tf", "tf/modules/one/main.tf", "tf/.terraform.lock.hcl"):
        world.write(name, 'word = "second"\n')
        assert tagged() == world.git("rev-parse", "HEAD"), name
    loose = World(world.c, world.repo, world.env.model_copy(update={"allow_dirty": True}))
    loose.write("tf/more.tf", "", commit=False)
    assert loose.place().given["commit"] == f"{world.git('rev-parse', 'HEAD')}-dirty"


@pytest.mark.slow
def test_a_commit_of_the_service_plans_nothing(tmp_path: Path, endpoint: str) -> None:
    world = worlds.make(tmp_path, endpoint, TAGGED)
    world.plan()
    apply(world)
    world.write("README.md", "another commit")
    assert world.plan().empty


@pytest.mark.slow
def test_a_role_that_only_reads_plans_without_the_lock(world: World) -> None:
    infra = world.env.infra
    world = world.change(state=State(bucket=infra.bucket, lock_seconds=0))
    lock = f"{infra.key(world.env.name)}.tflock"
    text = json.dumps({"ID": "c4b3a1d0-5a4f-8f0e-0a49-000000000000", "Who": "ann@laptop"})
    world.client("s3").put_object(Bucket=infra.bucket, Key=lock, Body=text.encode())
    with pytest.raises(Stop, match="locked by ann@laptop"):
        world.plan()
    with terraform.ready(world.c, world.place()) as ready:
        assert len(plans.make(ready, lock=False).acting) == 1
    assert world.client("s3").get_object(Bucket=infra.bucket, Key=lock)["Body"].read().decode() == text


@pytest.mark.slow
def test_changed_files_are_refused_where_the_environment_says_so(world: World) -> None:
    world.write("tf/environments/x.tfvars", 'word = "second"\n', commit=False)
    with pytest.raises(Stop, match=r"differ from the commit \(tf/environments/x.tfvars\)") as caught:
        world.plan()
    assert caught.value.code == Code.REFUSED


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("tf/environments/x.tfvars", 'word = "second"\n', "other variables"),
        ("tf/more.tf", "locals {}\n", "other Terraform files"),
    ],
)
@pytest.mark.slow
def test_a_plan_of_other_files_is_refused(world: World, file: str, text: str, told: str) -> None:
    loose = World(world.c, world.repo, world.env.model_copy(update={"allow_dirty": True}))
    loose.write("tf/new.tf", "", commit=False)
    loose.plan()
    loose.write(file, text, commit=False)
    assert told in refused(loose).sentence


@pytest.mark.slow
def test_a_variable_of_the_process_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.plan()
    monkeypatch.setenv("TF_VAR_seconds", "1")
    assert "other variables" in refused(world).sentence


@pytest.mark.slow
def test_a_plan_that_was_tampered_with_is_refused(world: World) -> None:
    world.plan()
    with (world.place().saved / plans.PLAN).open("ab") as file:
        file.write(b"x")
    assert "its digest differs" in refused(world).sentence


@pytest.mark.slow
def test_a_damaged_binding_is_refused(world: World) -> None:
    world.plan()
    (world.place().saved / plans.BINDING).write_text("{")
    assert "damaged" in refused(world).sentence


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("environment", "production", "is of environment production, not of local"),
        ("account", "999999999999", "is for account 999999999999"),
        ("region", "eu-west-1", "in eu-west-1, not for"),
        ("state", "s3://other/x", "is of the state s3://other/x"),
        ("destroys", True, "takes everything away"),
    ],
)
@pytest.mark.slow
def test_each_part_of_the_binding_counts(world: World, key: str, value: Any, told: str) -> None:
    world.place().saved.mkdir(parents=True)
    (world.place().saved / plans.PLAN).write_bytes(b"plan")
    now = plans._bind(world.place(), world.place().saved / plans.PLAN, destroy=False)
    assert plans.differs(now, now, timedelta(hours=1)) == ""
    assert told in plans.differs(now.model_copy(update={key: value}), now, timedelta(hours=1))
    old = now.model_copy(update={"made": now.made - timedelta(hours=2)})
    assert "is stale" in plans.differs(old, now, timedelta(hours=1))


@pytest.mark.slow
def test_a_plan_of_a_state_that_is_gone_is_stale(world: World) -> None:
    world.plan("mine")
    world.plan("yours")
    apply(world, "yours")
    before = world.state()
    with pytest.raises(Stop, match="the state has changed since") as caught:
        apply(world, "mine")
    assert (caught.value.code, world.state()) == (Code.REFUSED, before)
