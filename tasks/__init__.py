"""The map of all commands: every collection and alias is named here and nowhere else."""

from __future__ import annotations

from invoke.collection import Collection

from tasks import (
    bench,
    delivery,
    docs,
    doctor,
    findings,
    gitops,
    image,
    infra,
    infra_access,
    infra_rules,
    lab,
    observe,
    promotion,
    quality,
    release,
    requirements,
    runbook,
    scan,
    tools,
)
from tasks.lib.waiting import Woken

_scan = Collection.from_module(scan)
_scan.add_task(findings.waive)
_scan.add_task(findings.waivers)
_scan.add_task(findings.convert)
_infra = Collection.from_module(infra)
_infra.add_task(infra_access.outputs)
_infra.add_task(infra_access.kubeconfig)
_infra.add_task(infra_access.ssh_key)
_infra.add_task(infra_rules.policy)
_infra.add_task(infra_rules.checkov)

ns = Collection(
    # The way of a release, typed most, at the root.
    delivery.build,
    delivery.record,
    delivery.push,
    delivery.deploy,
    delivery.rollback,
    promotion.promote,
    promotion.approve,
    promotion.freeze,
    promotion.unfreeze,
    promotion.why,
    delivery.smoke,
    delivery.status,
    runbook.runbook,
    doctor.doctor,
    # This repository's own checks.
    quality.lint,
    quality.test,
    quality.parity,
    bench.bench,
    # Its parts, each usable alone.
    scan=_scan,
    image=Collection.from_module(image, auto_dash_names=True),
    gitops=Collection.from_module(gitops),
    release=Collection.from_module(release),
    # What is seen of it.
    observe=Collection.from_module(observe),
    # AWS as code.
    infra=_infra,
    # What it stands on.
    lab=Collection.from_module(lab),
    tools=Collection.from_module(tools),
    requirements=Collection.from_module(requirements),
    docs=Collection.from_module(docs),
)
ns.configure({"runners": {"local": Woken}})
