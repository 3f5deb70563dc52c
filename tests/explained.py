"""The law of explanations over a whole lake: over the rows that are named alone, each model gives the same row."""

from __future__ import annotations

from conftest import Lake

from src.engine import identifier
from src.explain.explaining import Explainer
from src.explain.rewriting import NotRewritten
from src.masking.masks import NONE
from src.project import open_project


def trace_rows(made: Lake, each: int) -> tuple[list[str], set[str]]:
    """Trace about `each` rows of every mart's table; returns those that cannot be, and the tables."""
    failed, seen = [], set()
    with open_project(made.settings) as project:
        explainer = Explainer(project, {}, {}, NONE)
        for table in project.marts:
            stored = project.table(table.id)
            if stored is None or not stored.rows or table.scored_by:
                continue
            tracer = explainer.tracer(explainer.as_it_was_built(table, stored), stored, "traced")
            order = ", ".join(map(identifier, tracer.itself))
            for at in range(0, stored.rows, max(1, stored.rows // each)):
                project.engine.table("one", f"FROM {project.engine.scan(stored)} ORDER BY {order} LIMIT 1 OFFSET {at}")
                try:
                    trace = tracer.trace("temp.one")
                except NotRewritten as refused:
                    failed.append(f"{table.id} {at}: {refused}")
                else:
                    failed += [f"{table.id} {at}: widened, {trace.widened}"] if trace.widened else []
                seen.add(table.id)
    return failed, seen
