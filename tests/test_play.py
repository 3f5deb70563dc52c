"""Google Play's monthly files, out of a bucket that rclone reaches: a month is what its newest file says of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from conftest import ROOT, Lake, needs_sample

COLUMNS = (
    "Date,Package Name,Daily Device Installs,Daily Device Uninstalls,Daily Device Upgrades,Total User Installs,"
    "Daily User Installs,Daily User Uninstalls,Active Device Installs,Install events,Update events,Uninstall events\n"
)
REMOTE = "play:pubsite_prod_rev_0123456789/stats/installs/installs_*_overview.csv"
ROWS = "SELECT package, day::VARCHAR, daily_user_installs FROM silver.kpi.play_installs ORDER BY package, day"
APP = "com.example.my_app"
pytestmark = needs_sample


@pytest.fixture
def play(lake: Lake, tmp_path: Path) -> Lake:
    """A project with the shipped contract, and a folder as the bucket."""
    path = "silver/kpi/play_installs.yaml"
    lake.write(path, (ROOT / "src" / path).read_text(encoding="utf-8"))
    source = f"{{connector: files, name: play, remote: '{REMOTE}'}}"
    custom = f"    customProperties: [{{property: source, value: {source}}}]\n"
    lake.edit(path, "slaProperties:", f"{custom}slaProperties:")
    lake.environ |= {"RCLONE_CONFIG_PLAY_TYPE": "alias", "RCLONE_CONFIG_PLAY_REMOTE": str(tmp_path / "buckets")}
    return lake


def written(play: Lake, month: str, *days: tuple[int, int], app: str = APP, minutes_ago: int = 60) -> None:
    """Let Google write a month's file: of each day the users who installed it."""
    folder = play.root / "buckets/pubsite_prod_rev_0123456789/stats/installs"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{month}-{day:02},{app},{users + 1},1,2,0,{users},1,100,5,2,1\n" for day, users in days]
    path = folder / f"installs_{app}_{month.replace('-', '')}_overview.csv"
    path.write_bytes((COLUMNS + "".join(lines)).encode("utf-16"))
    moment = time.time() - 60 * minutes_ago
    os.utime(path, (moment, moment))


def test_a_month_grows_and_is_restated_and_loses_a_day_and_gets_it_back(play: Lake) -> None:
    written(play, "2026-10", (30, 3), (31, 4), minutes_ago=90)
    written(play, "2026-10", (31, 7), app="com.example.other", minutes_ago=90)
    october = [(APP, "2026-10-30", 3), (APP, "2026-10-31", 4)]
    states: list[list[tuple[int, int]]] = [[(1, 5)], [(1, 5), (2, 6)], [(1, 50), (2, 6)], [(2, 6)], [(1, 50), (2, 6)]]
    for number, days in enumerate(states):
        written(play, "2026-11", *days, minutes_ago=80 - number)
        play.good()
        november = [(APP, f"2026-11-{day:02}", users) for day, users in days]
        assert play.rows(ROWS) == [*october, *november, ("com.example.other", "2026-10-31", 7)]
    written(play, "2026-10", (31, 40), minutes_ago=60)
    play.good()
    assert play.rows(ROWS)[:2] == [(APP, "2026-10-31", 40), (APP, "2026-11-01", 50)]
    landed = sorted(path.name for path in (play.data / "landing/kpi/play/installs").iterdir())
    wanted = [f"{APP}_202610", f"{APP}_202611", "com.example.other_202610"]
    assert landed == [f"installs_{name}_overview.csv" for name in wanted]
