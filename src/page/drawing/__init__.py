"""Drawings as SVG text from plain values: no library, no script, no inline style; every mark has a title."""
