"""Prints the token of an EKS cluster for kubectl (an exec plugin); a kubeconfig of ours names this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":
    # By its path and not with -m: kubectl is run in any folder, and a folder's own `tasks` must not be what is run.
    sys.path[0] = str(Path(__file__).resolve().parents[3])


def main(words: list[str]) -> int:
    """Prints an ExecCredential, or on stderr why there is none; the exit code."""
    from tasks.lib.aws import eks
    from tasks.lib.errors import Stop
    from tasks.lib.infra_settings import Infra

    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("cluster", "account", "region"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--emulated", action="store_true")
    given = vars(parser.parse_args(words))
    cluster = given.pop("cluster")
    try:
        sys.stdout.write(eks.exec_credential(Infra(**given), cluster) + "\n")
    except Stop as stop:
        sys.stderr.write(f"{stop.message}\n")
        return int(stop.code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
