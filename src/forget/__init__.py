"""Forget: a person leaves the lake everywhere, and a search of every byte proves it."""
