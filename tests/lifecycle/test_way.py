"""The whole way and back: what a person types on a good day."""

from __future__ import annotations

import json
import subprocess

import pytest

from tasks.lib import gates, tools
from tests.lifecycle.world import CHART, World

pytestmark = pytest.mark.lab


def test_one_line_brings_the_first_commit_into_an_empty_environment(world: World) -> None:
    world.agree(world.given("a"))
    newest = world.log()[-1]
    assert (newest["Slipway-Action"], newest["Slipway-Release"]) == ("deploy", world.sha("a"))
    assert "@" in newest["Slipway-By"]


def test_b_replaces_a_on_every_pod_and_both_ways_back_work(world: World) -> None:
    a = world.given("a")
    b = world.sha("b")
    said = world.deploy("b").stdout
    world.agree(b)
    assert a[:12] in said, "the plan says what runs now"
    assert "release b" in said, "the plan lists the commits between"
    assert f"back: ./inv rollback --env {world.env}" in said

    world.inv("rollback", "--to", a[:10], "--reason", "tried")
    world.agree(a)
    assert world.log()[0]["Slipway-Action"] == "arrived"
    back = world.log()[1]
    assert (back["Slipway-Action"], back["Slipway-Held"], back["Slipway-Reason"]) == ("rollback", b, "tried")

    refused = world.inv("deploy", "--release", b, ok=(5,)).stderr
    assert "on hold" in refused
    assert "--lift-hold" in refused
    world.agree(a)
    world.deploy("b")
    world.agree(b)

    world.inv("rollback")
    world.agree(a)


def test_status_and_drift_say_what_runs(world: World) -> None:
    a = world.given("a")
    table = world.inv("status").stdout
    assert a[:12] in table
    assert "healthy" in table
    assert "is what Git says" in world.inv("gitops.drift").stdout
    world.inv("smoke")


def test_the_record_is_shown_and_every_check_of_it_holds(world: World) -> None:
    a = world.given("a")
    assert f"takes {a[:12]}" in world.inv("release.verify", "--release", a).stdout
    shown = world.inv("release.show", "--release", a).stdout
    assert "the lab's key" in shown
    statement = json.loads(world.inv("release.show", "--release", a, "--json").stdout)
    assert statement["predicate"]["commit"] == a
    assert {gate["name"] for gate in statement["predicate"]["gates"]} == set(gates.GATES)


def test_the_charts_test_pod_passes_under_restricted_pod_security(world: World) -> None:
    """Argo CD leaves Helm's test hooks alone, so the rendered pod is run by hand."""
    a = world.given("a")
    scratch = world.scratch
    image = world.application()["spec"]["source"]["helm"]["values"]
    scratch.git("checkout", "--quiet", "--detach", a)
    helm = str(tools.path(scratch.c, "helm"))
    line = [helm, "template", world.namespace, "k8s/helm", "--namespace", world.namespace, "--values=-"]
    rendered = subprocess.run(
        [*line, "--show-only", "templates/tests/answers.yaml"],
        cwd=scratch.folder,
        input=image,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    try:
        scratch.kubectl("apply", "--filename=-", stdin=rendered.stdout)
        pod = ("--namespace", world.namespace, "pod/slipway-service-test")
        scratch.kubectl("wait", *pod, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        assert scratch.kubectl("logs", *pod).count("ok  ") == 4
    finally:
        scratch.kubectl("delete", "pod", "slipway-service-test", "--namespace", world.namespace, "--ignore-not-found")
    world.agree(a)


def test_a_chart_change_on_the_branch_changes_nothing_until_it_is_deployed(world: World) -> None:
    a, b = world.given("a"), world.sha("b")
    scratch = world.scratch
    # As a person merges: the chart of b comes to the branch that Argo CD reads. A merge of b itself may bring nothing,
    # because the tests before may have delivered b, and others since.
    scratch.git("fetch", "--quiet", scratch.lab.git_url, "main")
    scratch.git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
    scratch.git("checkout", "--quiet", b, "--", CHART)
    scratch.git("commit", "--quiet", "--allow-empty", "--message", "the chart of b")
    scratch.git("push", "--quiet", scratch.lab.git_url, "HEAD:refs/heads/main")
    assert "threads: 4" in scratch.git("show", "HEAD:k8s/helm/values.yaml")
    before = world.deployment()["metadata"]["generation"]
    compared = world.application()["status"]["reconciledAt"]
    world.inv("gitops.sync")
    world.comes("the comparison", lambda: world.application()["status"]["reconciledAt"] != compared, 20)
    world.inv("gitops.wait")
    assert (world.deployment()["metadata"]["generation"], world.threads()) == (before, "8")
    world.agree(a)

    world.deploy("b")
    assert world.threads() == "4"
    world.agree(b)
    world.inv("rollback", "--to", a)
    assert world.threads() == "8"
    world.agree(a)
