"""Boathouse as an installed package: this folder holds the product, its entry is __main__.py."""
