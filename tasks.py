"""The front door of `./inv`: loads the collection of the `tasks` package beside this file.

Invoke's loader finds tasks.py first and registers it as module `tasks`, which hides the package of the same
name. Dropping our own name from sys.modules lets the import below find the package.
"""

import sys

sys.modules.pop(__name__, None)

from tasks import ns  # noqa: E402

__all__ = ["ns"]
