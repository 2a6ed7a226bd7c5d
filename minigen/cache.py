"""The folder where minigen keeps what it can make or fetch again: downloads, compiled code."""
import os
from pathlib import Path


def folder():
    """``$XDG_CACHE_HOME/minigen``, by default ``~/.cache/minigen``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigen"
