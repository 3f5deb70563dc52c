"""Render the documents that are made from contracts and settings, and the catalogue of the lake."""

from __future__ import annotations

import argparse

from src import console, documents
from src.commands import Call
from src.project import Project, open_project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a document is stale")


def run(call: Call) -> int:
    root = call.settings.root
    with open_project(call.settings) as project:
        if not call.args.check:
            documents.write(root, project)
            _write_catalogue(project)
            return 0
        stale = documents.stale(root, project)
    for path in stale:
        console.complain(f"not what its contract says\n  where: {path}\n  fix:   `make docs` renders it")
    if not stale:
        print("every document is up to date")
    return 1 if stale else 0


def _write_catalogue(project: Project) -> None:
    """Write the catalogue, and print where it is."""
    try:
        from src.page import catalogue
    except ModuleNotFoundError as error:
        fix = "./setup.sh --page; in a project of your own write boathouse[page] in requirements.txt, then make setup"
        console.note(f"no catalogue: it needs {error.name}, which is not installed -> {fix}")
        return
    written = catalogue.write(project)
    if written is None:
        console.note("no catalogue yet: it shows the lake as a run left it -> make pipeline")
        return
    gone = f", {written.removed} removed" if written.removed else ""
    print(f"catalogue: {written.changed} of {written.files} files changed{gone}; open {written.folder / 'index.html'}")
