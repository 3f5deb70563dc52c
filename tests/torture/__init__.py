"""Torture: random histories and kills against an independent oracle; `python -m tests.torture` runs them at length."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "tests", ROOT):  # found as the tests find it, also when python is told to run a module of it
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
