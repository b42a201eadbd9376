"""Configuration files: written whole or not at all, and only when they change."""

from __future__ import annotations

from pathlib import Path


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Gives the file this content; one that has it is not touched: kube-proxy ends when its own is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text() == text:
        return
    partial = path.with_name(f".{path.name}.new")
    partial.write_text(text)
    partial.chmod(mode)
    partial.replace(path)
