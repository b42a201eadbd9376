"""What a trace keeps of words, texts and variables: what the commit decides, not what the machine or the hour does."""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from tasks.lib import paths
from tasks.lib.runner import SECRET_NAME

FILE, RUN = "SLIPWAY_TRACE", "SLIPWAY_TRACE_RUN"
OBJECT = re.compile(r"\b[0-9a-f]{40}\b")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?( ?(Z|UTC|[+-]\d\d:?\d\d))?")
SPAN = re.compile(r'\b\d+\.\d+ s\b|\b\d+ (?:s|min|h|hours?|days?) ago\b|(?<=time=")[\d.]+(?=")')
RANDOM_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
RANDOM_NAME = re.compile(r"(\$TMP/[\w.-]*?)[a-z0-9_]{8}(?=/|$)")
HASHED_NAME = re.compile(r"(?<=-)\d{12,}(?=\.json)")

# Everything else counts: a variable that nobody knows may change what a program does.
PREFIXES = (
    *("CI_", "GITLAB_", "GCL_", "RUNNER_", "FF_", "DOCKER_TLS_"),  # a pipeline's own description of itself
    *("LC_", "LESS", "XDG_", "SSH_", "DBUS_", "GNOME_", "GTK_", "QT_", "KDE_", "VSCODE_", "TERM_", "SUDO_", "WSL"),
    *("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"),  # how deploy may push
)
NEUTRAL = {
    *("CI", "FEATURES", "TRANSFER_METER_FREQUENCY", "GIT_DEPTH", "GIT_STRATEGY", "GIT_CLEAN_FLAGS"),
    *("SLIPWAY_ENV", "SLIPWAY_TOOLBOX", "SLIPWAY_VENV", "SLIPWAY_PYTHON", FILE, RUN),
    # Logins, and where engine and cluster are; none of them is an input of what is built.
    *("KUBECONFIG", "DOCKER_AUTH_CONFIG", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_CONFIG", "GIT_CONFIG_COUNT"),
    *("COSIGN_PASSWORD", "COSIGN_PRIVATE_KEY", "SIGSTORE_ID_TOKEN"),
    # A session, a terminal, a desktop.
    *("HOME", "USER", "LOGNAME", "SHELL", "SHLVL", "PWD", "OLDPWD", "PATH", "MANPATH", "INFOPATH", "LS_COLORS", "_"),
    *("TERM", "COLORTERM", "COLUMNS", "LINES", "LANG", "LANGUAGE", "TZ", "TMPDIR", "HOSTNAME", "MAIL", "EDITOR"),
    *("VISUAL", "PAGER", "DISPLAY", "WAYLAND_DISPLAY", "DESKTOP_SESSION", "HISTFILE", "HISTSIZE", "HISTCONTROL"),
    *("VIRTUAL_ENV", "PS1", "DEBIAN_FRONTEND", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID"),
    # How this machine reaches the network.
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    # What images of Python say about themselves.
    *("PYTHON_VERSION", "PYTHON_SHA256", "PYTHON_PIP_VERSION", "PYTHON_SETUPTOOLS_VERSION", "GPG_KEY"),
}


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that may change what a task does: names and the beginnings of hashes, of secrets the name alone."""
    counted = {name: value for name, value in environment.items() if name not in NEUTRAL}
    return {
        name: "secret" if SECRET_NAME.search(name) else hashlib.sha256(value.encode(errors="replace")).hexdigest()[:12]
        for name, value in sorted(counted.items())
        if not name.startswith(PREFIXES)
    }


def plain(word: str, commits: Collection[str]) -> str:
    """A word of a command without the machine's folders and without names and objects that are new in each run."""
    text = HASHED_NAME.sub("N", RANDOM_NAME.sub(r"\1", _placed(word)))
    text = re.sub(r"(\$CACHE/tools/[\w.-]+)/[\w.-]+", r"\1", text)  # the program's digest is noted beside it
    return _objects(text, commits)


def steady(text: str, commits: Collection[str]) -> str:
    """A text that a task wrote, without folders, times, durations and ids that are new in each run."""
    text = SPAN.sub("$SPAN", TIME.sub("$TIME", _placed(text)))
    text = RANDOM_NAME.sub(r"\1", RANDOM_UUID.sub("$UUID", text))
    return _objects(text, commits)


def _objects(text: str, commits: Collection[str]) -> str:
    return OBJECT.sub(lambda found: found[0] if found[0] in commits else "$OBJECT", text)


def _placed(text: str) -> str:
    folders = {
        str(paths.ROOT): "$ROOT",
        str(paths.cache()): "$CACHE",
        str(paths.lab_home()): "$LAB",
        sys.prefix: "$VENV",
        tempfile.gettempdir(): "$TMP",
        str(Path.home()): "$HOME",
    }
    for folder in sorted(folders, key=len, reverse=True):
        if folder != "/":
            text = text.replace(folder, folders[folder])
    return text
