"""A source will go on answering: its connector knows of nothing that ends on a day that is near, such as a version.

Asked are the connectors alone, not the sources, and without what they import.
"""

from __future__ import annotations

from collections.abc import Mapping

from src.monitors import sources
from src.monitors.reading import Reading
from src.problems import Problem


def measure(reading: Reading) -> tuple[Problem, ...]:
    """Return a problem for each source whose connector has something to say, however many feeds it brings.

    Of one that is not set up nothing is said.
    """
    feeds = [one.feed for one in sources.used(reading.project)]
    if not feeds:
        return ()
    from src.landing import registry
    from src.run import pulling

    found: dict[str, dict[str, str]] = {}  # by source: what, and what to do
    for feed in pulling.by_set_up(reading.project, feeds)[0]:
        assert feed.source, "a feed that a source brings"
        for notice in registry.notices(feed.source, reading.today):
            found.setdefault(feed.source.name, {})[notice.what] = notice.fix
    return tuple(_problem(reading, name, notices) for name, notices in found.items())


def _problem(reading: Reading, source: str, notices: Mapping[str, str]) -> Problem:
    fixes = dict.fromkeys(notices.values())  # several feeds may have the same
    return Problem("notice", source, "P3", reading.today, "; ".join(notices), "; ".join(fixes))
