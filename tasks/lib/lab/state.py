"""What the lab remembers about itself, and the description of a running lab that everything else uses.

Read by every task that wants a cluster: nothing heavy is imported here.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.lib.lab import layout, processes
from tasks.lib.lab.layout import Home


@dataclass(frozen=True)
class Lab:
    """A running lab: where its cluster, registry, Git remote and engines are."""

    home: Path
    kubeconfig: Path
    context: str
    registry: str
    git_url: str
    docker_host: str
    base_image: str
    builder_image: str
    containerd_socket: Path
    base_image_id: str
    builder_image_id: str


def describe(home: Home) -> Lab:
    """The lab of this home, running or not."""
    images = read(home).get("images", {})
    return Lab(
        home=home.root,
        kubeconfig=home.kubeconfig,
        context=layout.CONTEXT,
        registry=layout.REGISTRY,
        git_url=layout.GIT_URL,
        docker_host=f"unix://{home.docker_socket}",
        base_image=layout.BASE_IMAGE,
        builder_image=layout.BUILDER_IMAGE,
        containerd_socket=home.containerd_socket,
        base_image_id=images.get(layout.BASE_IMAGE, ""),
        builder_image_id=images.get(layout.BUILDER_IMAGE, ""),
    )


def find() -> Lab | None:
    """The lab if it came up fully, all its daemons live and this user may use it; reads files and asks nobody."""
    home = layout.home()
    known = read(home)
    if not known.get("ready") or not os.access(home.kubeconfig, os.R_OK):
        return None
    parts = known.get("parts", [])
    if not parts or any(processes.find(home, name) is None for name in parts):
        return None
    return describe(home)


def read(home: Home) -> dict[str, Any]:
    """Everything remembered; empty when there is no lab or its file is damaged."""
    try:
        known = json.loads(home.state_file.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def remember(home: Home, **facts: Any) -> None:
    """Adds facts, in one replace, so that a kill leaves the old file or the new one."""
    home.root.mkdir(parents=True, exist_ok=True)
    partial = home.state_file.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps({**read(home), **facts}, indent=1))
    partial.replace(home.state_file)


def made_folders(home: Home) -> list[str]:
    """System folders that did not exist before the lab."""
    return list(read(home).get("made_folders", []))
