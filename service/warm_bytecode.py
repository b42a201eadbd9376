"""Build step: writes bytecode for exactly the modules that the running service loads, into PYTHONPYCACHEPREFIX.

The container's file system is read-only, so Python could not cache anything later, and slim base images come without
the bytecode of the standard library: compiling 300 modules at every start costs several times the start itself.
"""

from __future__ import annotations

import importlib.util
import os
import py_compile
import sys
import tempfile

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()

import gunicorn.app.wsgiapp
import gunicorn.glogging
import gunicorn.workers.gthread  # noqa: F401
from slipway_service import boot, logs, wsgi  # noqa: F401

# Requests load what is imported on first use.
client = wsgi.app.test_client()
for path in ("/", "/version", "/api/time?zone=Europe/Berlin", "/api/time", "/nothing", "/ready", "/metrics"):
    client.get(path, headers={"Accept": "application/openmetrics-text" if path == "/metrics" else "*/*"})
client.get("/metrics")

for module in list(sys.modules.values()):
    source = getattr(getattr(module, "__spec__", None), "origin", None) or ""
    if source.endswith(".py") and module.__name__ != "__main__":
        py_compile.compile(
            source,
            cfile=importlib.util.cache_from_source(source),
            doraise=True,
            # Neither clocks nor stat calls at start, and the same bytes in every build.
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
