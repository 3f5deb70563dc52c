"""Boathouse: a lakehouse that fits in a folder."""
