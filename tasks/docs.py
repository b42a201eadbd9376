"""The documents of this repository."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task


@task(auto_shortflags=False)
def check(c: Context) -> None:
    """Check every ./inv line and link of the documents.

    Lines are parsed, not run. Exit 3: a line names a task, option or environment that does not exist, a link leads
    nowhere, or the reference of Terraform's variables is not what its files say.
    """
    from tasks.lib import docs, terminal
    from tasks.lib.errors import Code, Stop

    seen, problems = docs.check(c)
    if problems:
        terminal.table(
            "", ("where", "what", "why"), [(f"{one.file}:{one.number}", one.text, one.reason) for one in problems]
        )
        raise Stop(
            f"{len(problems)} lines of the documents do not hold",
            Code.FINDINGS,
            "./inv docs.check, when they are mended",
        )
    terminal.good(f"{seen} ./inv lines are what the tasks take; every link leads somewhere")


@task(auto_shortflags=False)
def reference(c: Context) -> None:
    """Write the reference of Terraform's variables.

    docs/infrastructure-reference.md, from the files of infra/terraform; docs.check says when it is not what they say.
    """
    from tasks.lib import paths, terminal
    from tasks.lib.infra import variables_docs

    terminal.good(f"written: {variables_docs.write().relative_to(paths.ROOT)}")
