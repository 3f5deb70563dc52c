"""Monitors look at the lake as it is and say in figures how it does; what is not as it should be is a problem.

`evaluate` only reads, holds no lock, and costs what the last ten weeks cost, however long the history; `record` keeps
the figures. Each monitor is a module that states its rule; its figures are the rows of one ops table.
docs/monitoring.md tells the whole.
"""

from __future__ import annotations

from src.monitors.findings import Findings as Findings
from src.monitors.findings import evaluate as evaluate
from src.monitors.findings import record as record
from src.monitors.volume import IncidentDay as IncidentDay
from src.monitors.volume import confirm as confirm
