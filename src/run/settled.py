"""Whether every incident is over and told, as an update of the alerts found: a run with nothing to tell reads no event.

It is kept beside the lake, for one version of `ops.alerts`: any event is another version of that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src import __version__, lake

ALERTS = "ops.alerts"
_FILE = "alerts.json"


def is_settled(data: Path, has_channels: bool) -> bool:
    """Return whether no incident is open, and no notice due where there are channels; False where nothing says so.

    Raises:
        MachineError: the log of the events is damaged.
    """
    table = lake.open_table(lake.table_path(data, ALERTS))
    return table is None or lake.read_known(lake.known_folder(data) / _FILE, own=True) == _state(table, has_channels)


def keep_settled(data: Path, has_channels: bool, events: lake.Snapshot) -> None:
    """Keep with the next `lake.keep` that `is_settled` by these events."""
    lake.keep_later(lake.known_folder(data) / _FILE, _state(events, has_channels))


def _state(table: lake.Snapshot, has_channels: bool) -> dict[str, Any]:
    facts = {"identity": table.identity, "version": table.version}
    return {**facts, "has_channels": has_channels, "product": __version__}
