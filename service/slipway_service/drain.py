"""Whether this instance is about to stop: one flag that the gunicorn master sets and every worker reads."""

from __future__ import annotations

import mmap

# Anonymous shared memory, made before the workers are forked, is the one thing a signal handler in the master
# can change for all of them at once without a file or a lock.
_flag = mmap.mmap(-1, 1)


def begin() -> None:
    """From now on /ready says no, in every worker."""
    _flag[0] = 1


def draining() -> bool:
    """True once the stop has begun."""
    return _flag[0] == 1
