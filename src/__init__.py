"""Boathouse: a lakehouse that fits in a folder."""

__version__ = "0.2.0"
