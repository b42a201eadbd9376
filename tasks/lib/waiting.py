"""How a task waits for a program: woken by its end."""

from __future__ import annotations

import os
import select

from invoke.runners import Local

MILLISECONDS = 500  # between two looks at the threads that read its output, which may have died


class Woken(Local):
    """Invoke's own asks a hundred times a second whether the program has ended, and so hears of it 5 ms late."""

    def wait(self) -> None:
        """Returns when the program has ended, or a thread that reads its output has."""
        try:
            ended = os.pidfd_open(self.get_pid())
        except (AttributeError, OSError):  # no Linux, or one older than 5.3
            super().wait()
            return
        end = select.poll()
        end.register(ended, select.POLLIN)
        try:
            while not (self.process_is_finished or self.has_dead_threads):
                end.poll(MILLISECONDS)
        finally:
            os.close(ended)
