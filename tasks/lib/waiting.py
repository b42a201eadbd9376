"""How a task waits for a program: woken by its end, and until its deadline also for what the program began."""

from __future__ import annotations

import contextlib
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

    def kill(self) -> None:
        """Ends the program and all that it began, at its deadline.

        Invoke's own ends the program alone: what it began, such as the helper that asks a silent Git server, holds
        its output open, and the wait goes on for as long as that lives.
        """
        import psutil

        begun: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            begun = psutil.Process(self.get_pid()).children(recursive=True)
        super().kill()
        for process in begun:
            with contextlib.suppress(psutil.Error):
                process.kill()
