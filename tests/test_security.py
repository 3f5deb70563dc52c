"""Who may read what a project keeps, and what the weekly review of security looks at."""

from __future__ import annotations

import json
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

import pytest
from conftest import ORDERS, Lake

from src import permissions
from src.facts import advisories
from src.facts.advisories import Advisory, read_advisories, read_pins
from src.facts.security import OpenQuarantine, Secret, read_security
from src.maintenance.command_line import PRODUCT
from src.project import open_project
from src.settings import load

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
OFFLINE = {"PIP_NO_INDEX": "1"}


def modes(folder: Path) -> set[tuple[str, int]]:
    """The modes of what lies below a folder: of files and of folders."""
    found = ((path, stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*"))
    return {("folder" if path.is_dir() else "file", mode) for path, mode in found}


@pytest.mark.parametrize(("umask", "folder", "file"), [("027", 0o750, 0o640), ("007", 0o770, 0o660)])
def test_what_commands_write_is_as_the_umask_of_the_settings_says(
    lake: Lake, umask: str, folder: int, file: int
) -> None:
    lake.shop().land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    shutil.rmtree(lake.root / "logs", ignore_errors=True)
    landed = {lake.data / "landing", *(lake.data / "landing").rglob("*")}
    for words in (("run",), ("query", "SELECT 1"), ("backup",), ("report",)):
        assert lake.typed(*words, UMASK=umask).returncode == 0
    made = [path for top in ("data", "logs", "backups") for path in (lake.root / top).rglob("*") if path not in landed]
    own = {path for path in made if path.name in ("contracts.json", "models.json")}  # trusted if only its user wrote
    assert {stat.S_IMODE(path.stat().st_mode) for path in own} == {0o640}
    made = [path for path in made if path not in own]
    private = {path for path in made if not stat.S_IMODE(path.stat().st_mode) & 0o077}
    assert {path.name for path in private if path.is_file()} <= {"queries.json"}
    found = {("folder" if path.is_dir() else "file", stat.S_IMODE(path.stat().st_mode)) for path in {*made} - private}
    odd = [str(p) for p in {*made} - private if stat.S_IMODE(p.stat().st_mode) not in (folder, file)]
    assert odd == []
    assert found == {("folder", folder), ("file", file)}


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody can come to, as those of tests are not."""
    folder = Path(mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_what_everybody_may_read_is_told_with_what_to_type(public: Path) -> None:
    for name, mode in (("data", 0o755), ("logs", 0o750), ("back ups", 0o751)):
        (public / name).mkdir()
        (public / name).chmod(mode)
    (public / ".env").write_text("BACKUP_REMOTE=back ups\n")
    (public / ".env").chmod(0o644)
    assert list(map(str, permissions.loose(load(public, {})))) == [
        f"the lake {public}/data can be read by everybody on this machine: chmod -R o= {public}/data",
        f"the backups {public}/back ups can be read by everybody on this machine: chmod -R o= '{public}/back ups'",
        f"the settings {public}/.env can be read by everybody, and may hold credentials: chmod 600 {public}/.env",
    ]
    (public / ".env").chmod(0o660)
    assert [one.found for one in permissions.loose(load(public, {"UMASK": "022"}))] == [
        "can be changed by its group, and may hold credentials"
    ]
    (public / ".env").chmod(0o640)
    public.chmod(0o750)
    assert permissions.loose(load(public, {})) == ()


def test_check_warns_of_what_everybody_may_read_and_passes(public: Path) -> None:
    lake = Lake(public)
    lake.shop().land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    lake.data.chmod(0o755)
    done = lake.typed("check")
    assert done.returncode == 0
    assert (
        f"note: the lake {lake.data} can be read by everybody on this machine: chmod -R o= {lake.data}" in done.stdout
    )
    [loose] = json.loads(lake.typed("check", "--json").stdout)["loose"]
    assert loose["fix"] == f"chmod -R o= {lake.data}"


def test_the_review_tells_old_credentials_and_open_rows_of_classified_tables(lake: Lake) -> None:
    lake.write(
        "silver/shop/orders.yaml",
        ORDERS.replace("physicalType: integer}", "physicalType: integer, classification: pii}"),
    )
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\nx,2024-01-01,10,1\n")
    lake.good()
    lake.environ |= {"SOURCE_A_KEY": "1234", "SOURCE_B_KEY": "1234", "SOURCE_C_KEY": "1234"}
    lake.environ |= {"SOURCE_A_KEY_SINCE": "2026-07-31", "SOURCE_B_KEY_SINCE": "2026-01-01"}
    with open_project(lake.settings) as project:
        found = read_security(project, NOW, OFFLINE)
        [since] = lake.rows("SELECT min(_ingested_at) FROM quarantine.shop.orders")[0]
    assert found.secrets == (
        Secret("SOURCE_B_KEY", date(2026, 1, 1), 212),
        Secret("SOURCE_A_KEY", date(2026, 7, 31), 1),
        Secret("SOURCE_C_KEY", None, None),
    )
    assert [one.is_old for one in found.secrets] == [True, False, False]
    assert found.quarantine == (OpenQuarantine("silver.shop.orders", 1, since),)
    assert found.findings == 2
    assert found.advisories.not_asked == "pip is configured to ask no index"
    lake.typed(*["quarantine", "waive", "--table", "silver.shop.orders", "--reason", "known", "--until", "2999-01-01"])
    with open_project(lake.settings) as project:
        assert read_security(project, NOW, OFFLINE).quarantine == ()


# -- advisories

TOLD = {"id": "PYSEC-1", "summary": "Reads\nbeyond.", "fixed_in": ["2.0.1"], "withdrawn": None}


class Index(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str]]] = []
    seconds = 0.0

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        time.sleep(self.seconds)
        known = [TOLD, TOLD | {"id": "X", "withdrawn": "2026-01-01"}] if "/duckdb/" in self.path else []
        body = json.dumps({"info": {}, "vulnerabilities": known}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def index() -> Iterator[str]:
    """The address of a package index on this machine."""
    Index.asked, Index.seconds = [], 0.0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://anna:secret@127.0.0.1:{server.server_port}/group/simple/"
    server.shutdown()
    server.server_close()


def test_the_index_of_pip_is_asked_for_each_pin_once_a_day(index: str, tmp_path: Path) -> None:
    environ = {"PIP_INDEX_URL": index}
    pins = read_pins(PRODUCT)
    assert ("duckdb", "2.0.0") in pins
    for _ in range(2):
        found = read_advisories(tmp_path, NOW.date(), environ)
        assert found.found == (Advisory("duckdb", "2.0.0", "PYSEC-1", "Reads beyond.", ("2.0.1",)),)
        assert (found.pins, found.not_asked) == (len(pins), None)
        assert len(Index.asked) == len(pins)
    assert ("/group/pypi/duckdb/2.0.0/json", "Basic YW5uYTpzZWNyZXQ=") in Index.asked
    read_advisories(tmp_path, date(2026, 8, 2), environ)
    assert len(Index.asked) == 2 * len(pins)


def test_an_index_that_does_not_answer_is_a_reason_and_no_wait(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisories, "_PATIENCE", 0.05)
    monkeypatch.setattr(advisories, "_MOST", 0.2)
    Index.seconds = 0.5
    began = time.monotonic()
    found = read_advisories(tmp_path, NOW.date(), {"PIP_INDEX_URL": index})
    assert time.monotonic() - began < 2
    assert found.found == ()
    assert "the index that pip is configured with tells nothing of" in str(found.not_asked)
    assert list(tmp_path.iterdir()) == []
    nowhere = read_advisories(tmp_path, NOW.date(), {"PIP_INDEX_URL": "/opt/wheels"})
    assert nowhere.not_asked == "the index that pip is configured with is no address of the web"
