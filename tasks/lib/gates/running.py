"""What every gate does around its scanner: a fresh report, a scratch folder, the canary, an outcome in any case."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from tasks.lib import paths
from tasks.lib.errors import Stop
from tasks.lib.gates import store
from tasks.lib.gates.models import Outcome, Report
from tasks.lib.runner import redact

Look = Callable[[Report, Path], None]
# For scanners written in Go. A scan is short and its memory small beside the machine's: up to a third of its CPU time
# would go into collecting garbage.
FEWER_COLLECTIONS = {"GOGC": "400"}


def examine(gate: str, sha: str, tool: str, look: Look) -> Report:
    """Lets `look` fill a report in a scratch folder, decides the outcome and keeps the report.

    Whatever goes wrong inside becomes could_not_run with a sentence; only a report that cannot be written raises (4).
    """
    store.discard(sha, gate)
    report = Report(gate=gate, commit=sha, tool=tool)
    try:
        with tempfile.TemporaryDirectory(prefix=f"slipway-{gate}-") as scratch:
            look(report, Path(scratch))
        missed = report.canary.missed
        if missed or not report.canary.planted:
            planted = ", ".join(missed) or "nothing"
            report.reason = f"{tool} ran but did not report the planted positive ({planted}), so it sees nothing"
        else:
            report.outcome = Outcome.FINDINGS if report.findings else Outcome.PASS
    except Stop as stop:
        report.reason = stop.sentence
        report.notes += [f"next: {stop.fix}"] if stop.fix else []
    except OSError as error:
        name = Path(error.filename).name if isinstance(error.filename, str) else ""
        report.reason = f"{gate}: {name + ': ' if name else ''}{error.strerror or error}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # Parsing of scanner output; pydantic's and json's errors are ValueErrors.
        first = (str(error).splitlines() or [""])[0][:200]
        report.reason = f"{gate}: the output of {tool} cannot be understood ({type(error).__name__}: {redact(first)})"
    if report.reason:
        report.findings, report.outcome = [], Outcome.COULD_NOT_RUN
    report.ended = datetime.now(timezone.utc)
    store.write(report)
    return report


def shown(words: list[str | Path], scratch: Path) -> str:
    """A command line for the report: without the machine's own paths, so that two runs compare equal."""

    known = {str(scratch): "$SCRATCH", str(paths.cache()): "$CACHE", str(paths.ROOT): "$ROOT"}
    text = " ".join(str(word) for word in words)
    for path, name in known.items():
        text = text.replace(path, name)
    return redact(text)
