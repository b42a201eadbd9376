"""How gunicorn runs the service: `python3 -m gunicorn -c gunicorn.conf.py`.

SLIPWAY_WORKERS, SLIPWAY_THREADS: per instance and per worker. SLIPWAY_GRACEFUL_SECONDS: for requests in flight after
SIGTERM. SLIPWAY_LAME_DUCK_SECONDS: how long new requests are still taken while /ready already says no.
OTEL_EXPORTER_OTLP_ENDPOINT: the collector that workers send traces, metrics and logs to; without it, none.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

# Nothing made while the application loads is garbage, and start-up is billed against a small CPU limit.
gc.disable()

_here = str(Path(__file__).resolve().parent)
if _here not in sys.path:
    sys.path.insert(0, _here)

from slipway_service import boot, drain, logs  # noqa: E402
from slipway_service.config import Config, ConfigError, log_level, number  # noqa: E402

try:
    workers = int(number(os.environ, "SLIPWAY_WORKERS", 2, low=1, high=64))
    threads = int(number(os.environ, "SLIPWAY_THREADS", 8, low=1, high=256))
    graceful_timeout = int(number(os.environ, "SLIPWAY_GRACEFUL_SECONDS", 20, low=0, high=3600))
    _lame_duck = number(os.environ, "SLIPWAY_LAME_DUCK_SECONDS", 1, low=0, high=600)
    _config = Config.from_env(os.environ)
    logconfig_dict = logs.config(log_level(os.environ), _config.revision)
    boot.metrics_folder()
except (ConfigError, OSError) as error:
    boot.refuse(error)

bind = "0.0.0.0:5000"
wsgi_app = "slipway_service.wsgi:app"
worker_class = "gthread"
preload_app = True
# Longer than the idle timeout of usual load balancers (60 s), or they reuse a connection just closed here.
keepalive = 65
# The heartbeat file on a disk can block a worker for seconds; this is memory in every container.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
control_socket_disable = True


def when_ready(server):  # type: ignore[no-untyped-def]
    """Puts the lame-duck time before gunicorn's own stop, which closes the listening socket at once."""
    gc.freeze()
    gc.enable()

    def stop(_signum, _frame):  # type: ignore[no-untyped-def]
        server.signal(signal.SIGTERM, None)

    def begin(_signum, _frame):  # type: ignore[no-untyped-def]
        impatient = drain.draining()
        drain.begin()
        if impatient or _lame_duck == 0:
            stop(None, None)
        else:
            signal.setitimer(signal.ITIMER_REAL, _lame_duck)

    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGTERM, begin)


def post_fork(_server, _worker):  # type: ignore[no-untyped-def]
    """A worker told to stop while it still boots ends at once: by gunicorn it would miss that and be waited for.

    Threads do not survive a fork: each worker sends for itself.
    """
    from slipway_service import signals

    for quick in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(quick, lambda *_: sys.exit(0))
    signals.start(_config.collector, _config.revision)


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """gthread's handler takes a lock of its pool, which the code that it interrupted may hold, and waits for ever."""
    from functools import partial

    from gunicorn.workers.base import Worker

    for quick in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(quick, partial(Worker.handle_quit, worker))


def worker_exit(_server, _worker):  # type: ignore[no-untyped-def]
    """The last requests of a worker are sent too; gunicorn's graceful timeout is the outer limit."""
    from slipway_service import signals

    signals.stop()


def child_exit(_server, worker):  # type: ignore[no-untyped-def]
    """Forgets what only a living worker may report."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
