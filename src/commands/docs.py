"""Render the documents that are made from contracts and settings."""

from __future__ import annotations

import argparse

from src import console, documents
from src.commands import Call
from src.project import open_project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a document is stale")


def run(call: Call) -> int:
    root = call.settings.root
    with open_project(call.settings) as project:
        if not call.args.check:
            documents.write(root, project)
            return 0
        stale = documents.stale(root, project)
    for path in stale:
        console.complain(f"not what its contract says\n  where: {path}\n  fix:   `make docs` renders it")
    if not stale:
        print("every document is up to date")
    return 1 if stale else 0
