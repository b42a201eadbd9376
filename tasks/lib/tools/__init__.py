"""External programs: found on PATH or in the project's cache, else installed from the pins in tools/.

`path(c, "helm")` is all that most callers need; `paths(c, [...])` installs several with one plan.
"""

from __future__ import annotations

from tasks.lib.tools.apt import debian
from tasks.lib.tools.gobuild import source_dir
from tasks.lib.tools.plan import install, path, paths

__all__ = ["debian", "install", "path", "paths", "source_dir"]
