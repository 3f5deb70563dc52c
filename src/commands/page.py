"""Open the page in the browser: causes, tables, lineage, marts, SQL; on this machine alone (Ctrl-C ends it)."""

from __future__ import annotations

import argparse

from src.commands import Call
from src.errors import UsageError

_PORT = 8765


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=_PORT, help=f"of 127.0.0.1 (default: {_PORT}; 0: a free one)")


def run(call: Call) -> int:
    try:
        from src.page import server
    except ModuleNotFoundError as error:
        what = f"the page needs {error.name}, not installed"
        raise UsageError(what, fix="./setup.sh --page, or pip install 'boathouse[page]'") from error
    server.serve(call.settings, call.args.port, _print_address)
    return 0


def _print_address(address: str) -> None:
    print(f"page: {address}\nIt opens on this machine alone; Ctrl-C ends it.", flush=True)
