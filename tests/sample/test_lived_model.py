"""A model lives with the sample company for two months: trained, scored each day, held against the truth as it comes.

Then parcels weigh ten times as much, outcomes are turned round, and scoring fails: each is one incident of the
right class, which closes when it is mended.
"""

from __future__ import annotations

import csv
import re
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import ROOT, Lake

from src import alerts
from src.demo import delivery
from src.errors import DataError, PartialError
from src.facts.models import ModelFacts
from src.ml import predicting
from src.project import open_project
from src.report import health
from src.report.models import read_report
from src.run import runs

FIRST = datetime(2026, 10, 26, 6, tzinfo=UTC)  # a Monday; a hundred days of shipments have landed by then
MODEL = "delivery.late_shipment"
CONTRACT = "ml/delivery/late_shipment.yaml"
RISK = "gold.delivery.late_risk"
KINDS = ("drift", "performance", "unscored", "retrain", "table")


class Company:
    """The sample company's deliveries, day by day."""

    def __init__(self, lake: Lake, patch: pytest.MonkeyPatch) -> None:
        self.lake, self.day = lake, -1
        for layer in ("silver", "gold", "ml"):
            shutil.copytree(ROOT / "src" / layer / "delivery", lake.root / "src" / layer / "delivery")
        patch.setattr(runs, "now", lambda: self.now)

    @property
    def now(self) -> datetime:
        return FIRST + timedelta(days=self.day)

    def live(self, *, heavy: bool = False, code: int = 0) -> list[tuple[str, str]]:
        """Land what a day brings, run, look; returns the open incidents of models, each with its urgency.

        `code`: with which the run ends.
        """
        self.day += 1
        last, days = self.now.date() - timedelta(days=1), 1 if self.day else 100
        new = delivery.land(self.lake.data / "landing", days=days, last=last, seed=7)
        for file in new if heavy else ():
            make_heavy(file)
        assert self.lake.command("run") == code
        return self.look()

    def look(self) -> list[tuple[str, str]]:
        with open_project(self.lake.settings) as project:
            found = health.read_health(project, self.now)
            health.send_alerts(project, found)
            health.record_figures(project, found)
            opened = alerts.open_incidents(project.engine, self.lake.data)
        return [(one.incident, one.urgency) for one in opened if one.kind in KINDS]

    def causes(self) -> list[str]:
        """Return the incidents of models and their tables that follow from nothing else."""
        with open_project(self.lake.settings) as project:
            known = health.read_health(project, self.now).causes
        return [one.cause.head.incident for one in known if one.cause.head.kind in KINDS]

    def facts(self) -> ModelFacts:
        with open_project(self.lake.settings) as project:
            return read_report(project, self.now, MODEL)[0]


def fail(*_: object) -> None:
    raise DataError("the artefact is damaged", fix="train the model again")


def make_heavy(file: Path) -> None:
    """Let shipments weigh ten times as much; a row that is no row of numbers stays."""
    if file.parent.name != "shipments":
        return
    with file.open(encoding="utf-8", newline="") as opened:
        names, *rows = csv.reader(opened)
    at = names.index("WeightKg")
    for row in rows:
        if len(row) > at and re.fullmatch(r"\d+(\.\d+)?", row[at]):
            row[at] = str(Decimal(row[at]) * 10)
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened, lineterminator="\n").writerows([names, *rows])


@pytest.mark.long
def test_a_model_is_watched_for_two_months(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    company = Company(lake, monkeypatch)
    lake.edit(CONTRACT, "roc_auc: {min: 0.6}\n  ", "")  # of the sample company's delays little can be foretold
    text = (lake.root / "src" / CONTRACT).read_text(encoding="utf-8")
    lake.write(CONTRACT, text + "retrain: {value: 5, unit: w}\n")
    company.live()
    assert lake.command("train", "--model", MODEL) == 0
    if company.facts().active is None:  # no better than the carrier's rate
        assert lake.command("train", "--model", MODEL, "--promote", "1", "--reason", "to be watched") == 0
    assert [company.live() for _ in range(27)] == [[]] * 27
    found = company.facts()
    assert {row.verdict for row in found.performance} == {"open", "partly foretold", "judged"}
    assert found.recent and found.recent.outcomes > 400 and found.recent.verdict == "keeps its bounds"
    assert found.predictions[0].day == company.now.date() and found.predictions[0].predictions > 0

    drift = (f"drift models.{MODEL}", "P3")
    days = [company.live(heavy=True) for _ in range(5)]
    assert days[-1] == [drift] and all(day in ([], [drift]) for day in days)
    days = [company.live() for _ in range(9)]
    assert days[-1] == [] and all(day in ([], [drift]) for day in days)

    lake.edit(CONTRACT, "value: state = 'late'", "value: state = 'on time'")
    assert company.live() == [(f"performance {RISK}", "P2")]
    lake.edit(CONTRACT, "value: state = 'on time'", "value: state = 'late'")
    assert company.live() == []

    with monkeypatch.context() as patch:
        patch.setattr(predicting, "open_predictor", fail)
        incidents = company.live(code=PartialError.exit_code)
    # the step that failed is the cause, and what it leaves unscored follows from it
    assert incidents == [(f"table {RISK}", "P2"), (f"unscored {RISK}", "P2")]
    assert company.causes() == [f"table {RISK}"]
    assert company.live() == []
