"""Jobs that depend on one another, each started as soon as those it needs are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """A piece of work; needs: names of jobs that come earlier in the list."""

    name: str
    work: Callable[[], None]
    needs: tuple[str, ...] = ()


def run_all(jobs: Sequence[Job], note: Callable[[str], None]) -> None:
    """Runs all jobs; note: told what is under way. After a failure nothing new is started; the first one is raised."""
    waiting = {job.name: job for job in jobs}
    done: set[str] = set()
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(max_workers=max(len(jobs), 1)) as pool:
        while waiting or running:
            for job in [job for job in waiting.values() if done.issuperset(job.needs)]:
                running[pool.submit(waiting.pop(job.name).work)] = job.name
            if not running:
                raise ValueError(f"jobs wait for each other or for nothing known: {', '.join(waiting)}")
            note(f"({len(done)} of {len(jobs)} ready, now {', '.join(running.values())})")
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                if future.exception() is not None and running:
                    note(f"({name} failed; waiting for the end of {', '.join(running.values())})")
                future.result()
                done.add(name)
