"""The lab's images: made here from Debian packages and our programs, and kept as archives in the cache."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context

from tasks.lib import paths, terminal
from tasks.lib.errors import Stop
from tasks.lib.lab import archive, rootfs
from tasks.lib.lab.archive import Entry, Image
from tasks.lib.lab.containers import PAUSE_IMAGE
from tasks.lib.lab.layout import BASE_IMAGE, BUILDER_IMAGE, SYSTEM_PREFIX

FRESH_DAYS = 7.0  # a root file system older than this is made again, for Debian's security updates
ARGOCD = "github.com/argoproj/argo-cd/v3"
SEARCH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER_999 = 'chroot "$1" useradd --system --uid 999 --user-group --create-home --home-dir /home/argocd argocd'
# The builder trusts what this machine trusts, so that pip works behind the same proxy; it never becomes a service.
TRUST = 'test ! -f /etc/ssl/certs/ca-certificates.crt || cp -L /etc/ssl/certs/ca-certificates.crt "$1"/etc/ssl/certs/'
ROOTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "base": (("python3",), ()),
    "builder": (("python3", "python3-pip", "ca-certificates"), (TRUST,)),
    "argocd": (("git", "gpg", "gpg-agent", "tini", "ca-certificates", "redis-server"), (USER_999,)),
}
LINKS = ("repo-server", "application-controller", "applicationset-controller", "cmp-server", "k8s-auth", "server")


@dataclass(frozen=True)
class Archive:
    """A finished archive and the ids of its images by name."""

    path: Path
    ids: Mapping[str, str]


def folder() -> Path:
    return paths.cache() / "images"


def key(*inputs: object) -> str:
    """A short digest of what goes into an archive; files count by path, size and time of change."""

    def plain(value: object) -> object:
        if isinstance(value, Path):
            stat = value.stat()
            return [str(value), stat.st_size, stat.st_mtime_ns]
        return repr(value)

    return hashlib.sha256(json.dumps(inputs, default=plain).encode()).hexdigest()[:12]


def prepare(c: Context, programs: Mapping[str, Path]) -> dict[str, Archive]:
    """All archives by name: engine, system and argocd; what is missing or too old is made."""
    folder().mkdir(parents=True, exist_ok=True)
    stale = [name for name in ROOTS if not _is_fresh(_root_file(name))]
    if stale:
        with (
            terminal.step(
                f"Make Debian root file systems: {', '.join(stale)} (about {60 * len(stale)} s, once a week)"
            ),
            ThreadPoolExecutor(2) as pool,
        ):
            list(pool.map(lambda name: _root(c, name), stale))
    return {
        "engine": _engine(),
        "system": _system(programs),
        "argocd": _argocd(c, programs),
    }


def _root_file(name: str) -> Path:
    return folder() / f"root-{name}-{key(ROOTS[name], rootfs.SUITE, rootfs.LEFT_OUT)}.tar"


def _is_fresh(file: Path) -> bool:
    return file.exists() and time.time() - file.stat().st_mtime < FRESH_DAYS * 86400


def _root(c: Context, name: str) -> None:
    """Makes one root file system; an old one is better than none where the mirror is out of reach."""
    file = _root_file(name)
    packages, hooks = ROOTS[name]
    try:
        rootfs.make(c, file, packages, hooks)
    except Stop as failure:
        if not file.exists():
            raise
        terminal.warn(f"{name}: the root file system of {time.ctime(file.stat().st_mtime)} is used. {failure.sentence}")
        return
    _forget(f"root-{name}-*.tar", file)


def _forget(pattern: str, keep: Path) -> None:
    for old in folder().glob(pattern):
        if old.stem != keep.stem:
            old.unlink(missing_ok=True)


def archive_of(name: str, identity: str, images: Callable[[Path], Sequence[Image]]) -> Archive:
    """The archive of this identity, written by `images` (given a folder for layers) when it is not there yet."""
    file = folder() / f"{name}-{identity}.tar"
    ids = file.with_suffix(".json")
    if not (file.exists() and ids.exists()):
        with tempfile.TemporaryDirectory(dir=folder(), prefix=".layers-") as place:
            created = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime())
            written = archive.write(file, images(Path(place)), created)
        ids.write_text(json.dumps(written))
        _forget(f"{name}-*", file)
    return Archive(file, json.loads(ids.read_text()))


def _engine() -> Archive:
    """The base image of services, and the builder as one more layer on it."""
    base, builder = _root_file("base"), _root_file("builder")
    environment = [SEARCH, "LANG=C.UTF-8"]

    def images(place: Path) -> list[Image]:
        added = archive.delta(place / "builder", base, builder)
        return [
            Image(BASE_IMAGE, [base], {"Env": environment, "Cmd": ["python3"]}),
            Image(BUILDER_IMAGE, [base, added], {"Env": environment, "Cmd": ["bash"]}),
        ]

    return archive_of("engine", key(base, builder, environment), images)


def _system(programs: Mapping[str, Path]) -> Archive:
    """Images of one static program each: pause, CoreDNS and metrics-server."""
    chosen = [programs[name] for name in ("catatonit", "coredns", "metrics-server")]
    identity = key(chosen)
    wanted = {
        PAUSE_IMAGE: (chosen[0], ["-P"]),
        f"{SYSTEM_PREFIX}/coredns:{identity}": (chosen[1], []),
        f"{SYSTEM_PREFIX}/metrics-server:{identity}": (chosen[2], []),
    }

    def images(place: Path) -> list[Image]:
        made = []
        for name, (program, words) in wanted.items():
            layer = archive.layer(place / program.name, [Entry(program.name, source=program)])
            made.append(Image(name, [layer], {"Entrypoint": [f"/{program.name}", *words]}))
        return made

    return archive_of("system", identity, images)


def _argocd(c: Context, programs: Mapping[str, Path]) -> Archive:
    """Argo CD's image as its Dockerfile lays it out, and Redis from the same Debian."""
    from tasks.lib import tools

    source = tools.source_dir(c, ARGOCD)
    scripts = [source / "entrypoint.sh", source / "hack/gpg-wrapper.sh", source / "hack/git-verify-wrapper.sh"]
    root = _root_file("argocd")
    identity = key(root, programs["argocd"], programs["helm"], scripts)
    argocd = {"Env": [SEARCH, "USER=argocd"], "User": "999", "WorkingDir": "/home/argocd"}
    argocd["Entrypoint"] = ["/usr/bin/tini", "--"]
    redis = {"Env": [SEARCH], "User": "999", "WorkingDir": "/tmp", "Entrypoint": ["redis-server"]}  # noqa: S108

    def images(place: Path) -> list[Image]:
        added = archive.layer(place / "argocd", _argocd_entries(programs, scripts))
        return [
            Image(f"{SYSTEM_PREFIX}/argocd:{identity}", [root, added], argocd),
            Image(f"{SYSTEM_PREFIX}/redis:{identity}", [root], redis),
        ]

    return archive_of("argocd", identity, images)


def _argocd_entries(programs: Mapping[str, Path], scripts: Sequence[Path]) -> list[Entry]:
    bin_folder = "usr/local/bin"
    files = [programs["argocd"], programs["helm"], *scripts]
    return [
        *(Entry(f"{bin_folder}/{file.name}", source=file) for file in files),
        *(Entry(f"{bin_folder}/argocd-{name}", link="argocd") for name in LINKS),
        Entry(f"{bin_folder}/uid_entrypoint.sh", link="entrypoint.sh"),
        *(Entry(f"app/config/{name}", uid=999) for name in ("ssh", "tls", "gpg", "gpg/source")),
        Entry("app/config/gpg/keys", uid=999, mode=0o700),
        Entry("etc/ssh"),
        Entry("etc/ssh/ssh_known_hosts", link="/app/config/ssh/ssh_known_hosts"),
    ]
