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
from src.house import opened


def main(form: str) -> None:
    here = Path.cwd()
    with opened(settings.load(here, os.environ), here / "src") as house:
        for declared in house.contracts.feeds.values():
            feed = replace(declared, format=form, path=declared.path.replace(".csv", f".{form}"))
            now, place = datetime.now(UTC), house.place(feed.id)
            ingest.run(house.engine, house.landing, place, feed, batch="bronze", now=now, settle=0)


if __name__ == "__main__":
    main(sys.argv[1])
