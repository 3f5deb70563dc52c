"""Workers of an Apache Spark cluster: the only module that knows pyspark."""

from __future__ import annotations

from src.workers.stages import Runner


def cluster(master: str | None) -> Runner:
    """Return the workers of a cluster."""
    raise NotImplementedError
