"""Google Play's monthly files, out of a bucket that rclone reaches: a month is what its newest file says of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import ROOT, Lake, needs_sample
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fake_api import Reply, Request, api

from src.errors import AuthError

COLUMNS = (
    "Date,Package Name,Daily Device Installs,Daily Device Uninstalls,Daily Device Upgrades,Total User Installs,"
    "Daily User Installs,Daily User Uninstalls,Active Device Installs,Install events,Update events,Uninstall events\n"
)
BUCKET = "pubsite_prod_rev_00000000000000000000"  # as the contract has it
ROWS = "SELECT package, day::VARCHAR, daily_user_installs FROM silver.kpi.play_installs ORDER BY package, day"
APP = "com.example.my_app"
pytestmark = needs_sample


@pytest.fixture
def play(lake: Lake, tmp_path: Path) -> Lake:
    """A project with the shipped contract, and a folder as the bucket."""
    path = "silver/kpi/play_installs.yaml"
    lake.write(path, (ROOT / "src" / path).read_text(encoding="utf-8"))
    lake.environ |= {"RCLONE_CONFIG_PLAY_TYPE": "alias", "RCLONE_CONFIG_PLAY_REMOTE": str(tmp_path / "buckets")}
    return lake


def content(month: str, *days: tuple[int, int], app: str = APP) -> bytes:
    lines = [f"{month}-{day:02},{app},{users + 1},1,2,0,{users},1,100,5,2,1\n" for day, users in days]
    return (COLUMNS + "".join(lines)).encode("utf-16")


def written(play: Lake, month: str, *days: tuple[int, int], app: str = APP, minutes_ago: int = 60) -> None:
    """Let Google write a month's file: of each day the users who installed it."""
    folder = play.root / "buckets" / BUCKET / "stats/installs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"installs_{app}_{month.replace('-', '')}_overview.csv"
    path.write_bytes(content(month, *days, app=app))
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


class Bucket:
    """Google's storage, as much of it as rclone asks for: a token, a list, one object, its content."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.may_read, self.url = files, False, ""

    def answer(self, request: Request) -> Reply:
        if request.path == "/token":
            return Reply({"access_token": "t-1", "token_type": "Bearer", "expires_in": 3600})
        assert request.headers["authorization"] == "Bearer t-1"
        if not self.may_read:
            said = "boathouse@p.iam.gserviceaccount.com does not have storage.objects.list access"
            return Reply({"error": {"code": 403, "message": said, "errors": [{"reason": "forbidden"}]}}, 403)
        if request.path.startswith("/media/"):
            return Reply(self.files[request.path.removeprefix("/media/")])
        name = unquote(request.path.partition("/o/")[2])
        if request.path.endswith("/o"):
            return Reply({"items": [*map(self._about, self.files)]})
        return Reply(self._about(name)) if name in self.files else Reply({"error": {"code": 404}}, 404)

    def _about(self, name: str) -> dict[str, str]:
        digest = hashlib.md5(self.files[name], usedforsecurity=False).digest()
        return {
            "name": name,
            "bucket": BUCKET,
            "size": str(len(self.files[name])),
            "updated": "2026-11-02T10:00:00.000Z",
            "md5Hash": base64.b64encode(digest).decode(),
            "mediaLink": f"{self.url}/media/{name}",
        }


def test_the_bucket_is_read_with_the_key_of_a_service_account_and_its_refusal_is_told(
    play: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = Bucket({f"stats/installs/installs_{APP}_202611_overview.csv": content("2026-11", (1, 5))})
    with api(bucket.answer) as google:
        bucket.url = google.url
        private = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        account = {"type": "service_account", "client_email": "boathouse@p.iam.gserviceaccount.com", "client_id": "1"}
        key = {**account, "private_key_id": "k", "private_key": private.decode(), "token_uri": f"{google.url}/token"}
        (play.root / "play.json").write_text(json.dumps(key))
        play.environ = {
            "RCLONE_CONFIG_PLAY_TYPE": "google cloud storage",
            "RCLONE_CONFIG_PLAY_SERVICE_ACCOUNT_FILE": str(play.root / "play.json"),
            "RCLONE_CONFIG_PLAY_ENDPOINT": f"{google.url}/storage/v1/",
        }
        error = play.run().failures["landing.kpi.play_installs"]
        assert isinstance(error, AuthError) and "does not have storage.objects.list access" in error.what
        bucket.may_read = True
        play.good()
        assert play.rows(ROWS) == [(APP, "2026-11-01", 5)]
        assert play.command("sources") == 0
    assert "answers; 1 files, the newest of 2026-11-02 10:00" in capsys.readouterr().out
