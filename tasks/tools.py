"""External programs: what is there, and installing what is not."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task


@task(name="list", auto_shortflags=False)
def list_(c: Context) -> None:
    """Show every external program, wanted and found."""
    from tasks.lib import terminal
    from tasks.lib.tools import find, pins

    looks = [find.look(c, row) for row in pins.known().values()]
    rows = [
        (
            look.pin.name,
            getattr(look.pin, "version", "") or find.wanted(look.pin),
            (look.found.version or "there") if look.found else "-",
            look.found.path if look.found else "; ".join(look.rejected) or f"not installed ({look.pin.group})",
            look.pin.needed_for,
        )
        for look in looks
    ]
    terminal.table("External programs", ["name", "wanted", "found", "where", "needed for"], rows)


@task(
    help={
        "only": "names, separated by commas (see tools.list); default: all",
        "group": "all programs of one group, such as platform or lab-engine",
    },
    auto_shortflags=False,
)
def install(c: Context, only: str = "", group: str = "") -> None:
    """Install external programs from their pins."""
    from tasks.lib import terminal, tools
    from tasks.lib.tools import find, pins

    rows = pins.chosen(only, group)
    missing = [row for row in rows if find.look(c, row).found is None]
    # Packages last: without root the rest is installed all the same.
    for part in ([row for row in missing if row.how != "deb"], [row for row in missing if row.how == "deb"]):
        tools.paths(c, [row.name for row in part])
    terminal.say(f"{len(rows)} programs are there, {len(missing)} of them installed now")
