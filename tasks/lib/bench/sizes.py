"""Row `image`: what the service's image adds to its base, against a Dockerfile written without a thought."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from tasks.lib import git, image, terminal
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import DATA, Stage
from tasks.lib.target import Engine

MEGABYTE = 1e6
NAIVE = "slipway.local/naive:bench"


def added(stage: Stage) -> Row:
    """Bytes of the final image and of the naive one, each without the bytes of the base that both stand on."""
    sha, lab = stage.release("a"), stage.user.lab
    engine = Engine(lab.docker_host)
    with tempfile.TemporaryDirectory(prefix="slipway-naive-") as folder:
        tree = git.unpack(stage.c, sha, Path(folder) / "tree", subfolder="service", repo=stage.user.folder)
        shutil.copyfile(DATA / "naive.Dockerfile", tree / "Dockerfile")
        with terminal.step("Build the naive image"):
            image.buildx(stage.c, engine, tree, NAIVE, {"BASE_IMAGE": lab.base_image}, epoch=0)
    with image.client(engine) as docker:
        sizes = {name: _size(docker, name) for name in (image.reference(sha), NAIVE, lab.base_image)}
        docker.images.remove(NAIVE)
    final, naive, base = sizes.values()
    return Row(
        name="image",
        what="bytes that the final image adds to its base",
        unit="MB",
        ours=(final - base) / MEGABYTE,
        raw=(naive - base) / MEGABYTE,
        raw_what="one stage; build tools, pip and caches left in",
        limit_ratio=0.4,
        notes=[f"total {final / MEGABYTE:.1f} MB against {naive / MEGABYTE:.1f} MB; base {base / MEGABYTE:.1f} MB"],
    )


def _size(docker: Any, name: str) -> int:
    return int(docker.images.get(name).attrs["Size"])
