"""Jobs in order of what they need, at the same time where they can, and the first failure wins."""

from __future__ import annotations

import threading

import pytest

from tasks.lib.lab.jobs import Job, run_all


def test_a_job_starts_after_those_it_needs() -> None:
    ran: list[str] = []
    run_all([Job("b", lambda: ran.append("b"), ("a",)), Job("a", lambda: ran.append("a"))], lambda _: None)
    assert ran == ["a", "b"]


def test_independent_jobs_run_at_the_same_time() -> None:
    meet = threading.Barrier(2, timeout=5)
    run_all([Job("a", lambda: meet.wait() and None), Job("b", lambda: meet.wait() and None)], lambda _: None)


def test_a_failure_is_raised_and_what_needs_it_is_left_out() -> None:
    ran: list[str] = []

    def fail() -> None:
        raise RuntimeError("no disk")

    with pytest.raises(RuntimeError, match="no disk"):
        run_all([Job("a", fail), Job("b", lambda: ran.append("b"), ("a",))], lambda _: None)
    assert ran == []


def test_an_unknown_need_is_an_error_and_no_endless_wait() -> None:
    with pytest.raises(ValueError, match="wait for each other"):
        run_all([Job("a", lambda: None, ("nobody",))], lambda _: None)
