"""Open the page in the browser: causes, tables, lineage, marts, SQL; on this machine alone (Ctrl-C ends it)."""

from __future__ import annotations

import argparse

from src.commands import Call
from src.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, help="a port of this machine; 0: one that is free (default: PAGE_PORT)")


def run(call: Call) -> int:
    try:
        from src.page import server
    except ModuleNotFoundError as error:
        what = f"the page needs {error.name}, which is not installed"
        fix = "./setup.sh --page; in a project of your own write boathouse[page] in requirements.txt, then make setup"
        raise UsageError(what, fix=fix) from error
    chosen: int | None = call.args.port
    server.serve(call.settings, call.settings.page_port if chosen is None else chosen, _print_address)
    return 0


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: write a whole number from 0 to 65535")


def _print_address(address: str) -> None:
    print(f"page: {address}\nIt opens on this machine alone; Ctrl-C ends it.", flush=True)
