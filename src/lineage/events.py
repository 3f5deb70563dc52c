"""What a run did as OpenLineage events (openlineage.io): its steps, what each read and wrote, what columns are made of.

They are sent when the run is over, each with the time at which it happened: a run waits for no server while it works.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import __version__, store
from src.contract import Table
from src.errors import MachineError, UsageError
from src.lineage.columns import column_name
from src.origins import read_origins
from src.project import Project, lineage
from src.proof.columns import Reference
from src.run.runs import Record, Run

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent
    from openlineage.client.facet_v2 import DatasetFacet, RunFacet, column_lineage_dataset

_PRODUCER = f"https://pypi.org/project/boathouse/{__version__}"
_PATIENCE = 5.0  # seconds for the answer to one event
_ENDS = {"success": "COMPLETE", "partial": "FAIL", "failed": "FAIL"}  # a blocked step has not run


def send(project: Project, run: Run) -> int:
    """Send the events of a run to `OPENLINEAGE_URL`, and return how many; without one nothing is sent.

    Raises:
        UsageError: the client of OpenLineage is not installed.
        MachineError: the server does not take an event; those after it are not sent.
    """
    settings = project.settings
    if settings.openlineage_url is None or not run.steps:
        return 0
    try:
        from openlineage.client.facet_v2 import set_producer
        from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport
    except ImportError as missing:
        fix = "./setup.sh --lineage; in a project of your own boathouse[lineage]"
        raise UsageError("OPENLINEAGE_URL is set, and openlineage-python is not installed", fix=fix) from missing
    config = HttpConfig(url=settings.openlineage_url, timeout=_PATIENCE, retry={"total": 1})
    if settings.openlineage_api_key:
        config.auth = ApiKeyTokenProvider({"api_key": settings.openlineage_api_key.text})
    set_producer(_PRODUCER)
    events, transport, count = list(Events(project, run).all()), HttpTransport(config), 0
    try:
        for event in events:
            transport.emit(event)
            count += 1
    except Exception as error:  # the client's own, its HTTP library's, the network's
        what = f"{settings.openlineage_url} took {count} lineage events of the run, and then none: {error}"
        raise MachineError(what, fix="see OPENLINEAGE_URL in .env; the run itself is not touched by it") from error
    finally:
        transport.close()
    return count


class Events:
    """The events of a run that is over."""

    def __init__(self, project: Project, run: Run) -> None:
        self._project, self._run = project, run
        self._namespace = project.settings.openlineage_namespace
        self._sources = lineage(project)
        self._tables: Mapping[str, Table] = {
            **project.contracts.silver,
            **{mart.id: mart for mart in project.marts},
        }
        self._own = next(record for record in run.records if record.run_id == run.run_id and record.layer == "run")

    def all(self) -> Iterator[RunEvent]:
        """Yield the run's beginning, the beginning and end of each of its steps, and its end.

        Before them the end of a run that was found dead, as nobody else can tell it.
        """
        for dead in (one for one in self._run.records if one.run_id != self._run.run_id):
            yield self._event("ABORT", dead.end_time, dead, self._run.kind)
        name = self._run.kind
        yield self._event("START", self._own.start_time, self._own, name)
        for step in self._run.steps:
            if step.status in _ENDS and step.layer in ("bronze", "silver", "gold"):
                yield self._event("START", step.start_time, step, step.table_id)
                yield self._event(_ENDS[step.status], step.end_time, step, step.table_id)
        yield self._event(_ENDS[self._own.status], self._own.end_time, self._own, name)

    def _event(self, state: str, moment: datetime, record: Record, job: str) -> RunEvent:
        from openlineage.client.event_v2 import Job, RunEvent, RunState
        from openlineage.client.event_v2 import Run as EventRun

        is_step = record.layer != "run"
        ended = is_step and state == "COMPLETE"
        return RunEvent(
            eventTime=moment.replace(tzinfo=UTC).isoformat(),
            eventType=RunState[state],
            run=EventRun(_run_id(record), self._run_facets(record, state)),
            job=Job(self._namespace, job, self._job_facets(record)),
            inputs=self._inputs(record.table_id) if is_step else [],
            outputs=[self._output(record)] if ended else [],
            producer=_PRODUCER,
        )

    def _run_facets(self, record: Record, state: str) -> dict[str, RunFacet]:
        from openlineage.client.facet_v2 import error_message_run, parent_run, processing_engine_run

        facets: dict[str, RunFacet] = {
            "processing_engine": processing_engine_run.ProcessingEngineRunFacet(__version__, "Boathouse")
        }
        if record.layer != "run":
            facets["parent"] = parent_run.ParentRunFacet(
                parent_run.Run(_run_id(self._own)), parent_run.Job(self._namespace, self._run.kind)
            )
        if state in ("FAIL", "ABORT") and record.error_message:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(record.error_message, "Python")
        return facets

    def _job_facets(self, record: Record) -> dict[str, Any]:
        from openlineage.client.facet_v2 import job_type_job, sql_job

        kind = "RUN" if record.layer == "run" else "TABLE"
        facets: dict[str, Any] = {"jobType": job_type_job.JobTypeJobFacet("BATCH", "BOATHOUSE", kind)}
        table = self._tables.get(record.table_id)
        if table and table.sql is not None:
            facets["sql"] = sql_job.SQLJobFacet(table.sql, "duckdb")
        return facets

    def _inputs(self, table_id: str) -> list[InputDataset]:
        from openlineage.client.event_v2 import InputDataset

        feed = self._project.contracts.feeds.get(table_id)
        if feed:
            return [InputDataset(*dataset_name(self._project.landing / feed.path))]
        sources = self._sources.get(table_id, ())
        return [InputDataset(*self._name(source), facets=self._facets(source)) for source in sources]

    def _output(self, record: Record) -> OutputDataset:
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.facet_v2 import dataset_version_dataset, output_statistics_output_dataset

        facets = self._facets(record.table_id)
        if record.version is not None:
            facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(str(record.version))
        if (table := self._tables.get(record.table_id)) is not None:
            facets["columnLineage"] = self._column_lineage(table)
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(record.records_written)
        namespace, name = self._name(record.table_id)
        return OutputDataset(namespace, name, facets=facets, outputFacets={"outputStatistics": statistics})

    def _facets(self, table_id: str) -> dict[str, DatasetFacet]:
        from openlineage.client.facet_v2 import schema_dataset, symlinks_dataset

        named = symlinks_dataset.Identifier(self._namespace, table_id, "TABLE")
        facets: dict[str, DatasetFacet] = {"symlinks": symlinks_dataset.SymlinksDatasetFacet([named])}
        if columns := self._columns(table_id):
            fields = [schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in columns.items()]
            facets["schema"] = schema_dataset.SchemaDatasetFacet(fields)
        return facets

    def _column_lineage(self, table: Table) -> DatasetFacet:
        """Return of each column those that its values are made of (DIRECT), and that decide on rows (INDIRECT)."""
        from openlineage.client.facet_v2 import column_lineage_dataset

        return column_lineage_dataset.ColumnLineageDatasetFacet(
            {
                name: column_lineage_dataset.Fields(
                    [*self._fields(origin.values, "DIRECT"), *self._fields(origin.shaping, "INDIRECT")]
                )
                for name, origin in read_origins(self._project, table).items()
            }
        )

    def _fields(self, some: frozenset[Reference], kind: str) -> Iterator[column_lineage_dataset.InputField]:
        from openlineage.client.facet_v2 import column_lineage_dataset

        for table_id, column in sorted(some, key=column_name):
            for name in [column] if column else self._columns(table_id):  # any of a table: the standard has no word
                how = column_lineage_dataset.Transformation(kind)
                yield column_lineage_dataset.InputField(*self._name(table_id), name, [how])

    def _columns(self, table_id: str) -> Mapping[str, str]:
        stored = self._project.table(table_id)
        return stored.columns if stored else {}

    def _name(self, table_id: str) -> tuple[str, str]:
        return dataset_name(self._project.path(table_id))


def dataset_name(path: Path) -> tuple[str, str]:
    """Return the namespace and name of what lies somewhere, as OpenLineage names files, so that other tools agree."""
    if not store.is_remote(path):
        return "file", path.absolute().as_posix()
    bucket, _, key = str(path).removeprefix(store.SCHEME).partition("/")
    return f"{store.SCHEME}{bucket}", key


def _run_id(record: Record) -> str:
    """Return the UUID of a run or step: of the same one always the same, and later ones greater."""
    from openlineage.client.uuid import generate_static_uuid

    moment = record.start_time.replace(tzinfo=UTC)
    return str(generate_static_uuid(moment, f"{record.run_id} {record.table_id}".encode()))
