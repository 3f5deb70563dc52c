"""The logger of all parts, Python's own: values stand in a message as `%s`. Where it goes, src/run/logs.py says."""

from __future__ import annotations

import logging

NAME = "boathouse"
logger = logging.getLogger(NAME)
