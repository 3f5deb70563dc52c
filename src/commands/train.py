"""Train models, judge them on what they did not see, and take them into use or say why not.

Without --promote, --retire and --rollback every model is trained, or the one that --model names. A version is promoted
if it keeps the bounds of its contract and beats the baselines and the active version on the same held-out rows. That
one is not promoted is no failure, nor that a model waits for outcomes, unless --model names it. By hand a version is
promoted, retired, or exchanged for the one that was active before it: one model, with the reason.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from src import console
from src.author import author
from src.checks.outcome import Outcome
from src.commands import Call, json_argument, show
from src.contract import MlModel
from src.contract.errors import hint
from src.errors import BoathouseError, UsageError
from src.ml import artefacts, registry, training
from src.ml.dataset import TooFewError, UnreleasedError
from src.ml.evaluation import Metrics, figure
from src.ml.training import Request, Training
from src.project import Project, open_project
from src.run import releases, runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run

_SHOWN = ("brier", "log_loss", "calibration_error", "roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="DOMAIN.NAME", help="one model only, such as delivery.late_shipment")
    parser.add_argument("--as-of", type=_moment, metavar="DAY", help="use nothing that was known later (default: now)")
    by_hand = parser.add_mutually_exclusive_group()
    by_hand.add_argument("--promote", type=int, metavar="VERSION", help="let this version score")
    by_hand.add_argument("--retire", action="store_true", help="let no version score")
    by_hand.add_argument("--rollback", action="store_true", help="let the version score that did before the active one")
    parser.add_argument("--reason", help="why, with --promote, --retire and --rollback: it is kept with the version")
    parser.add_argument("--dry-run", action="store_true", help="train and judge, keep nothing")
    json_argument(parser)


@dataclass(frozen=True)
class Line:
    """One row of the table of a training: whose measures they are, and on how many rows."""

    name: str
    rows: int
    measures: Mapping[str, float | None]


@dataclass(frozen=True)
class Result:
    """The outcome of the training of one model."""

    model: str
    version: int
    status: str
    is_new: bool
    promoted: bool
    as_of: datetime
    training_rows: int
    training_rate: float
    holdout_rows: int
    holdout_rate: float
    holdout_from: datetime | None
    lines: tuple[Line, ...]
    verdict: str
    notes: tuple[str, ...]


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        models = _chosen(project, call.args.model)
        if call.args.promote is not None or call.args.retire or call.args.rollback:
            return _by_hand(call, project, models)
        if not models:
            show(call, [], lambda _: print("no model is declared: src/ml/<domain>/<name>.yaml would be one"))
            return 0
        try:
            artefacts.require_extra()
        except UsageError as error:
            if call.args.model is not None or any(map(project.table, models)):
                raise
            console.note(f"{error.what}: nothing is trained, and nothing ever was; {error.fix}")
            show(call, [], _print)
            return 0
        return _train(call, project, models)


# -- training


def _train(call: Call, project: Project, models: Mapping[str, MlModel]) -> int:
    """Train models one after the other; one that fails stops no other."""
    as_of, found = call.args.as_of or runs.now(), list[Result]()
    if as_of > runs.now():
        raise UsageError(f"{as_of:%Y-%m-%d %H:%M} is to come", fix="train as of a moment up to now")
    versions = releases.newest(project.settings.data_dir)
    if call.args.dry_run:
        for model in models.values():
            request = Request(model, as_of, versions, runs.now(), author())
            trained = _trained(call, project, request)
            if isinstance(trained, Training):
                found.append(_result(trained))
        show(call, found, _print)
        print("dry run: nothing was kept")
        return 0
    with recorded_run(project, RunKind.TRAIN, f"train {', '.join(map(_name, models.values()))}") as current:
        for model in models.values():
            request = Request(model, as_of, versions, current.clock(), current.started_by)
            current.step(model.id, _step(call, project, request, found))
    show(call, found, _print)
    if error := current.error():
        raise error
    return 0


def _step(call: Call, project: Project, request: Request, found: list[Result]) -> Callable[[], Outcome]:
    """Return the work of training one model, which adds what it gave to the results."""

    def work() -> Outcome:
        trained = _trained(call, project, request)
        if isinstance(trained, BoathouseError):
            return Outcome(notes=(f"not trained: {trained.what}",))
        table = training.record(project, request.model, trained)
        found.append(_result(trained))
        new, notes = int(trained.known is None), (trained.verdict, *trained.notes)
        return Outcome(read=1, inserted=new, unchanged=1 - new, written=new, version=table.version, notes=notes)

    return work


def _trained(call: Call, project: Project, request: Request) -> Training | BoathouseError:
    """Train a model; one that nobody named and that waits for its data is told in a note, and is no failure."""
    try:
        return training.train_model(project, request)
    except (TooFewError, UnreleasedError) as error:
        if call.args.model is not None:
            raise
        console.note(f"{_name(request.model)} is not trained: {error.what}; {error.fix}")
        return error


def _result(found: Training) -> Result:
    version, rival = found.version, found.rival
    lines = [_line(f"version {version.version}", found.measures)]
    lines += [_line(name, measures) for name, measures in found.baselines.items()]
    if rival:
        newer = rival.new.rows < found.measures.rows
        lines += [_line(f"version {version.version}, rows new to both", rival.new)] if newer else []
        lines.append(_line(f"version {rival.version}, active", rival.measures))
    return Result(
        model=version.name,
        version=version.version,
        status=version.status,
        is_new=found.known is None,
        promoted=found.promoted,
        as_of=version.as_of,
        training_rows=version.training_rows,
        training_rate=version.training_positive / version.training_rows,
        holdout_rows=version.holdout_rows,
        holdout_rate=version.holdout_positive / version.holdout_rows,
        holdout_from=version.holdout_from,
        lines=tuple(lines),
        verdict=found.verdict,
        notes=found.notes,
    )


def _line(name: str, measures: Metrics) -> Line:
    return Line(name, measures.rows, measures.values())


def _print(results: list[Result]) -> None:
    for result in results:
        trained = f"trained on {result.training_rows:,} rows, {result.training_rate:.1%} with the outcome"
        judged = f"judged on {result.holdout_rows:,} from {result.holdout_from:%Y-%m-%d} on, {result.holdout_rate:.1%}"
        print(f"{result.model} as of {result.as_of:%Y-%m-%d %H:%M}: {trained}; {judged}")
        rows = [(line.name, line.rows, *(figure(line.measures[name]) for name in _SHOWN)) for line in result.lines]
        console.table(("", "rows", *_SHOWN), rows)
        for note in result.notes:
            console.note(note)
        print(f"{result.verdict}\n")


# -- by hand


@dataclass(frozen=True)
class Changed:
    """A change by hand: the version of a model that scores now, None for none."""

    model: str
    active: int | None
    reason: str


def _by_hand(call: Call, project: Project, models: Mapping[str, MlModel]) -> int:
    """Change the status of versions of one model.

    Raises:
        UsageError: not one model, no reason, no such version, or one that cannot score.
    """
    args, names = call.args, ", ".join(map(_name, models.values()))
    if len(models) != 1:
        raise UsageError("which model?", fix=f"name one with --model: {names}" if names else "none is declared")
    if not (args.reason or "").strip():
        raise UsageError("no reason", fix='say why: --reason "..."; it is kept with the version')
    [model] = models.values()
    found = _changed(call, project, model, _target(args, project, model))
    show(call, found, lambda one: print(_sentence(one, args.dry_run)))
    return 0


def _target(args: argparse.Namespace, project: Project, model: MlModel) -> int | None:
    """Return the version that is to be active; None for none.

    Raises:
        UsageError: there is no such version, it is active, or it cannot score.
    """
    engine, table = project.engine, registry.open_versions(project.settings.data_dir, model.id)
    if args.retire:
        registry.active_number(engine, table)
        return None
    number = registry.version_before(engine, table) if args.rollback else args.promote
    artefacts.open_estimator(registry.read_inactive(engine, table, number))
    return int(number)


def _changed(call: Call, project: Project, model: MlModel, target: int | None) -> Changed:
    """Make the change, unless it is a dry run."""
    args, engine, data = call.args, project.engine, project.settings.data_dir
    found = Changed(_name(model), target, args.reason)
    if args.dry_run:
        return found
    what = "retire" if args.retire else "rollback" if args.rollback else f"promote {target}"
    with recorded_run(project, RunKind.TRAIN, f"train {found.model}: {what}") as current:
        moment, by = current.clock(), current.started_by

        def work() -> Outcome:
            if args.retire:
                registry.retire(engine, data, model.id, args.reason, moment, by)
            elif args.rollback:
                registry.roll_back(engine, data, model.id, args.reason, moment, by)
            else:
                registry.promote(engine, data, model.id, int(args.promote), args.reason, moment, by)
            table = registry.open_versions(data, model.id)
            return Outcome(version=table.version if table else None, notes=(f"{what}: {args.reason}",))

        current.step(model.id, work)
    if error := current.error():
        raise error
    return found


def _sentence(found: Changed, dry_run: bool) -> str:
    state = "no version scores" if found.active is None else f"version {found.active} scores"
    return f"dry run: {found.model}: {state}" if dry_run else f"{found.model}: {state} from the next run on"


# -- names and moments


def _chosen(project: Project, name: str | None) -> dict[str, MlModel]:
    """Return the models to train, by their ids.

    Raises:
        UsageError: there is none of that name.
    """
    models = dict(project.contracts.models)
    if name is None:
        return models
    known = {_name(model): model for model in models.values()}
    wanted = name.removeprefix("models.")
    if wanted not in known:
        raise UsageError(f"no model {name}", fix=hint(wanted, known))
    return {known[wanted].id: known[wanted]}


def _name(model: MlModel) -> str:
    return f"{model.domain}.{model.name}"


def _moment(text: str) -> datetime:
    """Return a day's beginning, or a moment with its time, in UTC where it says nothing else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no moment: write YYYY-MM-DD or YYYY-MM-DDTHH:MM") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
