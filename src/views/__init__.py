"""Views: what the records say when they are put together, read by name like a table. Nothing is stored for them.

A subject's views stand in a module of its own; `VIEWS` lists them all, each after those that it reads. Where several
tables of a layer make one view (`ops.ml_models` of every table below `models`), its SELECT is made of those that are
there.
"""

from __future__ import annotations

from src.views.access import VIEWS as ACCESS
from src.views.cost import VIEWS as COST
from src.views.ml import VIEWS as ML
from src.views.view import View as View
from src.views.view import over as over

VIEWS: tuple[View, ...] = (*COST, *ACCESS, *ML)
