"""Whether what a gate compared with is good enough for an environment: kind, age and coverage of its database."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone

from tasks.lib.gates.models import Database
from tasks.lib.settings import Environment

ACCEPTED_SNAPSHOT = "compared with the shipped snapshot of {date}, not with today's advisories"
OS = "the operating system of the image"


def unusable(env: Environment, gate: str, database: Database, covers: Collection[str], system: str) -> str:
    """Why results of this database say nothing in this environment; '' when they do.

    covers: ecosystems and operating systems in which the planted positive was caught. system: name and version of the
    image's operating system ('debian 12.8'), '' where none was recognised; only asked where `gate` is image.
    """
    return outdated(env, database) or uncovered(env, gate, covers, system)


def outdated(env: Environment, database: Database) -> str:
    """Why the kind or age of this database is not accepted in this environment; '' when it is."""
    day = database.date.date().isoformat()
    age = datetime.now(timezone.utc) - database.date
    if database.snapshot and not env.gates.allow_snapshot:
        return f"only the shipped snapshot of {day} could be had, which {env.name} does not accept"
    if age.days > env.gates.max_database_age_days:
        return f"its database is of {day}, {age.days} days old; {env.name} allows {env.gates.max_database_age_days}"
    if age.days < -1:
        return f"its database is dated in the future, {day}, so its age is not known"
    return ""


def uncovered(env: Environment, gate: str, covers: Collection[str], system: str) -> str:
    """What the environment demands and the planted positives did not prove; '' when there is nothing."""
    demanded = list(env.gates.required_coverage) if gate == "image" else ["pip"]
    family = system.partition(" ")[0]
    if "os" in demanded and not family:
        return (
            f"{env.name} demands {OS}, which was not recognised, so its packages were not looked up "
            "(an image without one: required_coverage: [pip])"
        )
    wanted = dict.fromkeys(family if name == "os" else name for name in demanded)
    lacking = [name for name in wanted if name not in covers]
    if not lacking:
        return ""
    proven = " and ".join(covers) or "nothing"
    return f"the database covers {proven} but {env.name} demands {' and '.join(lacking)} too"


def remedy(env: Environment, gate: str, again: str) -> str:
    """What to type where `unusable` has something to say; again: the line that runs the gate."""
    setting = "trivy_databases" if gate == "image" else "advisories"
    return (
        f"./inv scan.update --env {env.name}, then {again}; where nothing can be reached, name a mirror in "
        f"gates.mirrors or gates.{setting} of {env.folder}/environment.yaml"
    )
