"""What gunicorn serves."""

from __future__ import annotations

import os

from . import signals
from .app import create_app
from .config import Config

config = Config.from_env(os.environ)
signals.preload(config.collector)
app = create_app(config)
