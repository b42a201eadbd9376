"""Where Terraform gets its providers from: the user's CLI configuration, a filesystem mirror, or the registry."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.lib import paths

MIRRORS = (Path("/opt"), Path("/usr/share"), Path("/usr/local/share"))
REGISTRY = "registry.terraform.io"
CONFIGURATION = """provider_installation {{
  filesystem_mirror {{
    path    = "{mirror}"
    include = ["{registry}/*/*"]
  }}
  direct {{
    exclude = ["{registry}/*/*"]
  }}
}}
"""


def mirror(places: Sequence[Path] = MIRRORS) -> Path | None:
    """The first folder, one or two levels below the given ones, that holds providers as a filesystem mirror does."""
    for place in places:
        for pattern in (REGISTRY, f"*/{REGISTRY}"):
            for found in sorted(place.glob(pattern)):
                if any(found.glob("*/*/*")):
                    return found.parent
    return None


def settings(folder: Path, environ: Mapping[str, str] = os.environ, places: Sequence[Path] = MIRRORS) -> dict[str, str]:
    """The variables that tell Terraform where providers are.

    folder: where a private CLI configuration may be written. A file that TF_CLI_CONFIG_FILE names counts when it
    exists; what that variable names in vain would only be a warning of Terraform's.
    """
    given = environ.get("TF_CLI_CONFIG_FILE", "")
    if given and Path(given).is_file():
        return {}
    if (found := mirror(places)) is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "terraform.rc"
        file.write_text(CONFIGURATION.format(mirror=found, registry=REGISTRY), encoding="utf-8")
        return {"TF_CLI_CONFIG_FILE": str(file)}
    plugins = paths.cache() / "terraform-providers"  # some 700 MB for AWS alone: one copy for every environment
    plugins.mkdir(parents=True, exist_ok=True)
    return {"TF_PLUGIN_CACHE_DIR": str(plugins), **({"TF_CLI_CONFIG_FILE": ""} if given else {})}
