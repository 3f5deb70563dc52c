"""The program `boathouse`, which is main.py wherever the product was installed; `python -m boathouse` is the same.

The product's modules import each other as `src...`. Installed, they lie in this folder, and nothing of theirs lies at
the top of site-packages. So this folder goes first on the path of the process: before a project's own `src` in the
working folder, and before whatever else may be named so.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

_HERE = Path(__file__).resolve().parent
PRODUCT = _HERE if (_HERE / "main.py").is_file() else _HERE.parent  # in a clone, main.py lies beside this folder


def main() -> int:
    """Run one command on the project in the working folder; returns the exit code."""
    sys.path.insert(0, str(PRODUCT))

    from src import stopping

    stopping.at_once()

    from main import main as run

    return run(sys.argv[1:], Path.cwd(), "boathouse")


def program() -> NoReturn:
    """Do what `main` does, and end the process with its exit code."""
    code = main()

    from src import stopping

    stopping.leave(code)


if __name__ == "__main__":
    program()
