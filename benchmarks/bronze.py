"""Boathouse's bronze alone: every landed file into the bronze table, nothing after it.

Usage: python bronze.py FORMAT, in a copy of the product, with its settings in the environment
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from src import settings
from src.bronze import ingest
from src.project import open_project


def main(form: str) -> None:
    here = Path.cwd()
    with open_project(settings.load(here, os.environ)) as project:
        for declared in project.contracts.feeds.values():
            feed = replace(declared, format=form, path=declared.path.replace(".csv", f".{form}"))
            now, place = datetime.now(UTC), project.path(feed.id)
            ingest.run(project.engine, project.landing, place, feed, batch="bronze", now=now, settle=0)


if __name__ == "__main__":
    main(sys.argv[1])
