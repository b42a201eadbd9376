"""Build step: writes bytecode for exactly the modules that the running service loads, into PYTHONPYCACHEPREFIX.

The container's file system is read-only, so Python could not cache anything later, and slim base images come without
the bytecode of the standard library: compiling 300 modules at every start costs several times the start itself.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import py_compile
import sys
import tempfile
from pathlib import Path


def load_all() -> set[str]:
    """Source files of what gunicorn and the service load, at start and at their first requests."""
    import concurrent.futures.thread  # noqa: F401
    import zoneinfo

    import gunicorn.app.wsgiapp
    import gunicorn.glogging
    import gunicorn.workers.gthread
    import prometheus_client.multiprocess  # noqa: F401 - when a worker ends
    import urllib3
    from slipway_service import boot, clock, logs, signals, wsgi  # noqa: F401

    client = wsgi.app.test_client()
    # Sending is tried too, with nobody there.
    signals.start(wsgi.config.collector, wsgi.config.revision)
    for path in ("/", "/version", "/api/time?zone=Europe/Berlin", "/api/time", "/nothing", "/ready", "/metrics"):
        client.get(path)
    client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    client.get("/", headers={"traceparent": f"00-{'1' * 32}-{'1' * 16}-01"})
    signals.stop()
    for zone in clock.zones():  # every region of tzdata is a package
        zoneinfo.ZoneInfo(zone)
    modules = [module for name, module in sys.modules.items() if name != "__main__"]
    origins = {getattr(getattr(module, "__spec__", None), "origin", None) or "" for module in modules}
    # Run or read by gunicorn, never imported.
    origins |= {str(Path(gunicorn.__file__).with_name("__main__.py"))}
    origins |= {str(Path(__file__).with_name("gunicorn.conf.py"))}
    # requests tries it and goes on without.
    origins |= {str(Path(urllib3.__file__).parent / "contrib" / "socks.py")}
    return {origin for origin in origins if origin.endswith(".py")}


def main() -> None:
    """Compiles them; raises when one cannot be compiled."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = scratch
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
        os.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"
        logging.disable()
        for source in sorted(load_all()):
            py_compile.compile(
                source,
                cfile=importlib.util.cache_from_source(source),
                doraise=True,
                # Neither clocks nor stat calls at start, and the same bytes in every build.
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )


if __name__ == "__main__":
    main()
