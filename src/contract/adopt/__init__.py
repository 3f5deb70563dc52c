"""Any ODCS contract becomes contracts of ours: what has a meaning here keeps it, and each change is told, with why.

`older` makes version 3 of what is written in version 2, `types` finds a column's type, `properties` and `tables` write
what a table of ours says, and `refused` takes out what the loader still refuses, by the loader's own words.
"""

from __future__ import annotations

from src.contract.adopt.adopting import Adopted as Adopted
from src.contract.adopt.adopting import adopt as adopt
from src.contract.adopt.changes import Change as Change
