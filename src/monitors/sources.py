"""The sources that contracts name, as far as what they say of them is right: a run tells what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from src.contract import Feed, Source
from src.errors import ContractErrors
from src.project import Project


@dataclass(frozen=True)
class UsedSource:
    """One feed with its source, and the source's options with their defaults."""

    feed: Feed
    source: Source
    options: Mapping[str, Any]


def used(project: Project) -> Iterator[UsedSource]:
    """Yield each feed that a source brings; asks no source, and imports no connector's packages."""
    for feed in project.contracts.feeds.values():
        if feed.source is None:
            continue
        from src.landing import registry

        try:
            registry.check([feed])
        except ContractErrors:
            continue
        yield UsedSource(feed, feed.source, registry.options(feed.source))
