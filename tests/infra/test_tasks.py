"""What else infra tasks do, and each failure: one sentence, the right exit code, nothing changed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tasks.lib import settings
from tasks.lib.errors import Code, Stop
from tasks.lib.infra import applying, bootstrap, destroying, messages, providers, ssh_key, terraform
from tasks.lib.infra.messages import Diagnostic
from tasks.lib.infra.planfile import Action, Change, Plan
from tasks.lib.infra_settings import State
from tests.infra.world import World

LOCK = """Error message: operation error S3: PutObject, https response error StatusCode: 412, PreconditionFailed
Lock Info:
  ID:        c4b3a1d0-5a4f-8f0e-0a49-000000000000
  Path:      bucket/key
  Operation: OperationTypeApply
  Who:       ann@laptop
  Version:   1.11.4
  Created:   2026-11-23 11:00:00.1 +0000 UTC
"""


@pytest.mark.slow
def test_the_state_bucket_is_made_once_and_brought_back_to_order(world: World) -> None:
    s3, infra = world.client("s3"), world.env.infra
    assert all(setting.holds for setting in bootstrap.settings(infra))
    s3.put_bucket_versioning(Bucket=infra.bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_public_access_block(Bucket=infra.bucket)
    wrong = [setting for setting in bootstrap.settings(infra) if not setting.holds]
    assert [setting.what for setting in wrong] == ["versions", "public access"]
    assert bootstrap.make(wrong) == 2
    assert all(setting.holds for setting in bootstrap.settings(infra))


def test_plain_http_is_refused_where_there_is_more_than_that(world: World) -> None:
    policy = bootstrap._policy(world.env.infra)
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert policy["Statement"][0]["Effect"] == "Deny"


@pytest.mark.slow
def test_without_a_bucket_the_next_line_is_bootstrap(world: World) -> None:
    with pytest.raises(Stop, match="bucket") as caught:
        world.change(state=State(bucket="nobody-made-this")).plan()
    assert caught.value.code == Code.COULD_NOT_RUN
    assert "infra.bootstrap" in caught.value.fix


@pytest.mark.slow
def test_a_bucket_that_is_gone_since_the_last_task_is_told_too(world: World) -> None:
    world.plan()
    s3, bucket = world.client("s3"), world.env.infra.bucket
    found = s3.list_object_versions(Bucket=bucket)
    for one in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
        s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(Stop, match="the state bucket of local is not there") as caught:
        world.plan()
    assert (caught.value.code, caught.value.fix) == (Code.COULD_NOT_RUN, "./inv infra.bootstrap --env local")


@pytest.mark.slow
def test_another_account_is_refused(world: World) -> None:
    with pytest.raises(Stop, match="123456789012") as caught:
        world.change(account="999999999999").plan()
    assert caught.value.code == Code.COULD_NOT_RUN
    assert world.state() == ""


def test_without_terraform_the_sentence_says_where_to_get_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.lib.tools import find

    monkeypatch.setattr(find, "_candidates", lambda row: iter(()))
    monkeypatch.setattr("tasks.lib.tools.pins.target", lambda row: Path("/nowhere"))
    monkeypatch.setattr("tasks.lib.tools.plan.install", lambda c, rows: None)
    with pytest.raises(Stop, match=r"terraform .* is needed for infra\.plan") as caught:
        world.plan()
    assert caught.value.code == Code.COULD_NOT_RUN


@pytest.mark.slow
def test_a_wrong_variable_is_configuration(world: World) -> None:
    world.write("tf/environments/x.tfvars", "")
    with pytest.raises(Stop, match="No value for required variable") as caught:
        world.plan()
    assert caught.value.code == Code.USAGE


def test_an_environment_without_account_or_files_says_what_to_write(world: World) -> None:
    for change, told in (({"emulated": False}, "names no AWS account"), ({"variables": "none.tfvars"}, "none.tfvars")):
        with pytest.raises(Stop, match=told) as caught:
            world.change(**change).place()
        assert caught.value.code == Code.USAGE


@pytest.mark.parametrize(
    ("summary", "detail", "code", "told"),
    [
        ("Error acquiring the state lock", LOCK, 4, "locked by ann@laptop since 2026-11-23"),
        ("Saved plan is stale", "The given plan file can no longer be applied", 5, "the state has changed"),
        (
            "Instance cannot be destroyed",
            "Resource module.database.aws_db_instance.this has lifecycle.prevent_destroy set",
            5,
            "module.database.aws_db_instance.this must not be destroyed",
        ),
        ("creating EC2 VPC", "api error ExpiredToken: The security token included is expired", 4, "expired"),
        ("creating EC2 VPC", "api error UnauthorizedOperation: You are not authorized", 4, "no permission"),
        ("creating IAM Role", "api error Throttling: Rate exceeded", 4, "throttled"),
        ("AWS account ID not allowed: 999999999999", "", 4, "999999999999"),
        ("Invalid value for variable", "too long", 2, "Invalid value for variable: too long"),
        ("something new", "never seen", 4, "something new: never seen"),
    ],
)
def test_what_terraform_complains_about_is_one_sentence(summary: str, detail: str, code: int, told: str) -> None:
    stop = messages.stop("infra.plan", [Diagnostic(severity="error", summary=summary, detail=detail)], "staging")
    assert (stop.code, told in stop.sentence) == (code, True), stop.sentence
    assert "\n" not in stop.sentence


def test_a_half_written_line_of_output_is_no_trouble() -> None:
    assert len(list(messages.read('{"type":"apply_start"}\n{"type":"apply_comp'))) == 1


def lost(name: str = "orders") -> Plan:
    change = Change(address="aws_db_instance.this", type="aws_db_instance", action=Action.DELETE)
    return Plan(format_version="1.2", changes=[change.model_copy(update={"before": {"identifier": name}})])


def test_what_holds_state_goes_only_when_its_name_is_typed(world: World) -> None:
    with pytest.raises(Stop, match="Its name was not typed; nothing was changed") as caught:
        applying.agree(world.place(), lost(), True, [])
    assert caught.value.code == Code.REFUSED
    assert caught.value.fix.endswith("--confirm orders")
    with pytest.raises(Stop):
        applying.agree(world.place(), lost(), True, ["other"])
    applying.agree(world.place(), lost(), True, ["orders"])
    applying.agree(world.place(), lost(), True, ["aws_db_instance.this"])


@pytest.mark.slow
def test_where_nobody_can_be_asked_agreement_is_demanded(world: World) -> None:
    asking = World(world.c, world.repo, world.env.model_copy(update={"ask": True}))
    with pytest.raises(Stop, match="add --yes"):
        applying.agree(asking.place(), Plan(format_version="1.2"), False, [])


def test_production_is_protected_by_its_file_and_not_by_its_name() -> None:
    production, local = settings.load("production"), settings.load("local")
    for i_know, typed in ((False, ["production"]), (True, []), (True, ["staging"])):
        with pytest.raises(Stop, match="protected") as caught:
            destroying.allow(production, i_know, typed)
        assert caught.value.code == Code.REFUSED
    destroying.allow(production, True, ["production"])
    destroying.allow(production.model_copy(update={"protected": False}), False, [])
    with pytest.raises(Stop):
        destroying.allow(local.model_copy(update={"protected": True}), False, [])


def test_the_configuration_that_exists_counts_then_a_mirror_then_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    own = tmp_path / "own.rc"
    own.write_text("")
    shared = tmp_path / "opt"
    (shared / "plugins/registry.terraform.io/hashicorp/aws/5.0.0").mkdir(parents=True)
    assert providers.settings(tmp_path / "work", {"TF_CLI_CONFIG_FILE": str(own)}, [shared]) == {}
    found = providers.settings(tmp_path / "work", {"TF_CLI_CONFIG_FILE": "/gone"}, [tmp_path / "none", shared])
    assert f'path    = "{shared / "plugins"}"' in Path(found["TF_CLI_CONFIG_FILE"]).read_text()
    (shared / "registry.terraform.io/hashicorp/aws/5.0.0").mkdir(parents=True)
    assert providers.mirror([shared]) == shared
    assert providers.mirror([tmp_path / "none"]) is None
    registry = providers.settings(tmp_path / "work", {"TF_CLI_CONFIG_FILE": "/gone"}, [tmp_path / "none"])
    assert registry == {
        "TF_PLUGIN_CACHE_DIR": str(tmp_path / "cache/slipway/terraform-providers"),
        "TF_CLI_CONFIG_FILE": "",
    }


def test_a_key_pair_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "slipway-x"
    public, new = ssh_key.make(file, "slipway-x")
    assert new
    assert public.startswith("ssh-ed25519 ")
    assert "PRIVATE" not in public
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert ssh_key.make(file, "slipway-x") == (public, False)
    file.chmod(0o644)
    with pytest.raises(Stop, match="others may read") as caught:
        ssh_key.make(file, "slipway-x")
    assert caught.value.code == Code.REFUSED
    file.unlink()
    with pytest.raises(Stop, match="is not"):
        ssh_key.make(file, "slipway-x")


@pytest.mark.slow
def test_nothing_of_a_credential_is_in_argv_or_in_what_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAQQQQQQQQQQQQQQQQ")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "Zk3" + "x" * 37)
    mine = world.change(emulated=False, account="123456789012")
    mine.plan()
    with terraform.ready(mine.c, mine.place()) as ready:
        assert "Zk3" not in " ".join(ready.values)
    files = [file for file in mine.place().work.rglob("*") if file.is_file()]
    assert len(files) > 4
    assert not [file for file in files if b"Zk3x" in file.read_bytes() or b"AKIAQQQ" in file.read_bytes()]
