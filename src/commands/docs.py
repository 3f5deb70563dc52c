"""Render the documents that are made from contracts and settings."""

from __future__ import annotations

import argparse

from src import documents
from src.commands import Call
from src.project import open_project


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        documents.write(call.settings.root, project)
    return 0
