"""A landing zone that is gone or empty where files came before is told, and is no quiet day."""

from __future__ import annotations

import shutil

import pytest
from conftest import Lake

import main
from src import alerts, monitors
from src.commands.run import pipeline
from src.problems import Problem
from src.project import open_project
from src.run import runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run

HEADER = "order_id,day,amount,updated\n"


def open_incidents(lake: Lake) -> list[tuple[str, str]]:
    """Run as the command does; the incidents that are open afterwards."""
    lake.command("run")
    with open_project(lake.settings) as project:
        return [(one.incident, one.urgency) for one in alerts.open_incidents(project.engine, lake.data)]


def found_by_health(lake: Lake) -> list[Problem]:
    with open_project(lake.settings) as project:
        return [one for one in monitors.evaluate(project, runs.now()).problems if one.subject == "landing"]


@pytest.mark.parametrize("state", ["is gone", "holds no file any more"])
def test_an_empty_landing_zone_is_noted_and_an_incident_until_files_are_there_again(
    lake: Lake, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    assert open_incidents(lake) == []
    assert found_by_health(lake) == []
    shutil.rmtree(lake.data / "landing")
    if state != "is gone":
        (lake.data / "landing/shop/orders").mkdir(parents=True)
    lake.environ["SAMPLE_FEED"] = "true"  # no files of the sample company in the place of those that are missing
    assert open_incidents(lake) == [("source landing", "P2")]
    assert f"note: the landing zone data/landing {state}, though files came before" in capsys.readouterr().out
    [problem] = found_by_health(lake)
    assert (problem.urgency, state in problem.what) == ("P2", True)
    [(notes,)] = lake.rows("SELECT notes FROM ops.pipeline_runs WHERE layer = 'run' ORDER BY start_time DESC LIMIT 1")
    assert state in notes
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-01,10,1\n")
    assert open_incidents(lake) == []
    assert found_by_health(lake) == []


def test_where_nothing_ever_came_or_a_file_says_so_an_empty_landing_zone_is_right(lake: Lake) -> None:
    lake.shop()
    assert open_incidents(lake) == []
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    assert open_incidents(lake) == []
    shutil.rmtree(lake.data / "landing")
    lake.land(".keep", "")
    assert open_incidents(lake) == []
    assert found_by_health(lake) == []


def test_a_command_that_did_not_look_does_not_close_the_incident(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    shutil.rmtree(lake.data / "landing")
    assert open_incidents(lake) == [("source landing", "P2")]
    with open_project(lake.settings) as project:
        assert alerts.looked_at(pipeline(project, main.carry)) >= {"source landing"}
        with recorded_run(project, RunKind.REBUILD, "rebuild") as this:
            pass
        assert "source landing" not in alerts.looked_at(this)
