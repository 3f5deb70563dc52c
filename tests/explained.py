"""The law of explanations over a whole lake: over the rows that are named alone, each model gives the same row."""

from __future__ import annotations

from conftest import Lake

from src import contract, lake
from src.engine import identifier
from src.explain.rewriting import NotRewritten
from src.explain.tracing import Tracer
from src.project import Unbuilt, open_project


def trace_rows(made: Lake, each: int) -> tuple[list[str], set[str]]:
    """Trace about `each` rows of every mart's table; returns those that cannot be, and the tables."""
    failed, seen = [], set()
    with open_project(made.settings) as project:
        for table in project.marts:
            stored = project.table(table.id)
            if stored is None or not stored.rows or table.scored_by:
                continue
            table = contract.as_stored(table, stored.properties)
            if table.run_date:
                project.engine.set_run_date(table.run_date)
            versions = {name: stored.progress(name) for name in table.declared_sources}
            sources = {
                name: Unbuilt(project.declared(name))
                if version in (None, Unbuilt.NEVER)
                else lake.open_table(project.path(name), version)
                for name, version in versions.items()
            }
            tracer = Tracer(project.engine, table, stored, sources, project.proof(table), "traced")  # type: ignore[arg-type]
            order = ", ".join(map(identifier, table.key or [column.name for column in table.columns]))
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
