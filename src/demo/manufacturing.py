"""The sample company's workshop: the master logs of its workstations and test boards, as its two lines upload them.

Law: a file is a function of its day and the seed alone, as in the other feeds. What becomes of a unit is
drawn from a stream of the day on which it is begun, whole, with every test that it will ever take.

Line A keeps its logs as CSV, line B as Excel workbooks with real dates. A log is weekly: each day's upload is a
new file that holds the week so far, so most lines come again and again. Of the units,

    4 to 8 %     fail the first test at a station (packing: 1 %), and come again the same day or the next
    a few        never pass, and are scrapped
    2 to 3 %     are packed twice; as many are reworked after packing, within two weeks
    1 %          come back from a customer (RMA), weeks later

and of the lines in the logs

    about 0.5 %  are dirty: they end before they start, on a day that is not in the calendar, or name no unit
    some         come a day late, as their workstation was offline; on Mondays in the log of the new week
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, partial
from pathlib import Path
from random import Random

from src.demo import company, landing

WORKSTATIONS, TESTBOARDS = Path("manufacturing/workstation_log"), Path("manufacturing/testboard_log")
HEADERS = {
    WORKSTATIONS: (
        "Serial Number", "Model", "Part Number", "Station", "Workstation", "Operator", "Pass/Fail", "Failure Code",
        "Test Start", "Test End", "Service Flow",
    ),
    TESTBOARDS: (
        "SN", "Model", "PN", "Test Board", "Operator", "Result", "Error Code", "Start Time", "End Time",
    ),
}  # fmt: skip
LINES = {"A": "csv", "B": "xlsx"}  # a line, and how it keeps its logs

_UNITS = 45  # begun on a working day, give or take a sixth
_SATURDAY = 5
_OPENS, _CLOSES = 6, 22  # hours
_LONGEST_LIFE = 90  # days from the first test of a unit to its last, at most

_AGAIN_TOMORROW = 0.4  # of the retests
_FAILS_AGAIN = 0.2  # of the retests
_MOST_TRIES = 3
_PACKED_TWICE = 0.025
_REWORKED = 0.025
_RETURNED = 0.01
_DIRTY = 0.005
_OFFLINE = 0.03  # of the days of a workstation

_OPERATORS = ("OP17", "OP17", " OP21", "OP23", "op23", "OP30 ", "OP34", "OP41", "")


@dataclass(frozen=True)
class _Station:
    """A step of the line: its workstations, how often a unit fails there at first, how long a test takes."""

    name: str
    workstations: tuple[str, ...]
    fails: float
    seconds: range
    codes: tuple[str, ...]


_BOARD_TEST = _Station(
    "Board Test", ("TB-01", "TB-02", "TB-03", "TB-04"), 0.06, range(70, 200), ("B110", "B120", "B310")
)
_ASSEMBLY = _Station("Assembly", ("ASM-01", "ASM-02", "ASM-03"), 0.04, range(400, 1100), ("A010", "A020", "A055"))
_FUNCTIONAL = _Station("Functional Test", ("FCT-01", "FCT-02"), 0.08, range(240, 700), ("F100", "F210", "F220", "F900"))
_BURN_IN = _Station("Burn-In", ("BRN-01",), 0.04, range(14_400, 18_000), ("T001", "T002"))
_SORT = _Station("Sort Test", ("SRT-01", "SRT-02"), 0.05, range(90, 260), ("S400", "S410", "S470"))
_PACKING = _Station("Packing", ("PCK-01", "PCK-02"), 0.01, range(60, 150), ("P001",))
_BUILT = (_BOARD_TEST, _ASSEMBLY, _FUNCTIONAL, _BURN_IN, _SORT, _PACKING)
_REPAIRED = (_FUNCTIONAL, _SORT, _PACKING)


@dataclass(frozen=True)
class _Test:
    """One line of a log, as it will be written."""

    line: str
    board: bool  # on a test board
    serial: str
    model: company.Device
    station: str
    workstation: str
    operator: str
    result: str
    code: str
    start: datetime | str  # text where no calendar has that day
    end: datetime
    flow: str
    day: date  # from which on it is in the uploads


def land(landing_zone: Path, *, days: int, last: date, seed: int) -> list[Path]:
    """Land the files of the `days` days that end with `last` in `landing_zone`, as `landing.land` does."""

    def files(today: date) -> Iterator[landing.File]:
        for name, feed, line in _uploads(today):
            yield name, partial(upload, today, seed, feed, line), datetime.combine(today, time(_CLOSES + 1), UTC)

    return landing.land(landing_zone, files, days=days, last=last)


def upload(today: date, seed: int, feed: Path, line: str) -> bytes:
    """Return the file that a line uploads for a feed on a day: its log of the week so far."""
    tests = (test for test in _week_so_far(today, seed) if test.line == line and test.board == (feed == TESTBOARDS))
    rows = [_board_cells(test) if test.board else _cells(test) for test in tests]
    return _workbook(HEADERS[feed], rows) if LINES[line] == "xlsx" else _text(HEADERS[feed], rows)


def _uploads(today: date) -> Iterator[tuple[Path, Path, str]]:
    """Name, feed and line of the files that are uploaded on a day; none on closed days."""
    if _is_open(today):
        for feed in (WORKSTATIONS, TESTBOARDS):
            for line, suffix in LINES.items():
                week = today.isocalendar()
                yield feed / f"{week.year}-W{week.week:02}-line-{line}-{today}.{suffix}", feed, line


def _week_so_far(today: date, seed: int) -> list[_Test]:
    """Return every line that the logs of the week hold by the end of a day, in the order in which they were written."""
    monday = today - timedelta(days=today.weekday())
    return [test for back in range(today.weekday() + 1) for test in _logged(monday + timedelta(days=back), seed)]


@lru_cache(maxsize=8)
def _logged(today: date, seed: int) -> tuple[_Test, ...]:
    """Return the lines that are in the uploads from a day on: those of every unit begun lately that is tested then."""
    days = (today - timedelta(days=back) for back in range(_LONGEST_LIFE + 1))
    tests = [test for begun in days for test in _tests(begun, seed).get(today, ())]
    return tuple(sorted(tests, key=lambda test: (test.end, test.serial)))


@lru_cache(maxsize=4 * _LONGEST_LIFE)
def _tests(begun: date, seed: int) -> Mapping[date, Sequence[_Test]]:
    """Return all lines about the units begun on a day, by the day from which on they are in the uploads."""
    found: dict[date, list[_Test]] = {}
    if _is_open(begun):
        draw = landing.stream(seed, begun, "units")
        defects = landing.stream(seed, begun, "faults")
        count = round(_UNITS * (5 / 6 + draw.random() / 3))
        for number in range(count):
            for test in _unit(begun, number, count, seed, draw):
                found.setdefault(test.day, []).append(_spoilt(test, defects))
    return found


# -- the life of a unit


def _unit(begun: date, number: int, count: int, seed: int, draw: Random) -> Iterator[_Test]:
    """Yield the tests of one unit: through the line, and for a few once more through a part of it."""
    line, week = "AB"[number % 2], begun.isocalendar()
    serial = f"0{week.year % 100:02}{week.week:02}{week.weekday}{'AB'.index(line) + 1}{number:03}"
    model = draw.choices(company.DEVICES, company.WEIGHTS)[0]
    walk = _Walk(line, serial, model, seed, draw)
    clock = datetime.combine(begun, time(_OPENS), UTC) + timedelta(seconds=number * 12 * 3600 // count)
    packed = yield from walk.through(_BUILT, clock, "PRODUCTION")
    if packed and draw.random() < _PACKED_TWICE:
        yield walk.test(_PACKING, _working(packed + timedelta(minutes=draw.randrange(3, 90))), "PRODUCTION", True)
    if packed and draw.random() < _REWORKED:
        packed = yield from walk.through(_REPAIRED, _days_later(packed, draw.randrange(1, 14)), "Rework")
    if packed and draw.random() < _RETURNED:
        yield from walk.through(_REPAIRED, _days_later(packed, draw.randrange(14, 40)), "RMA")


@dataclass(frozen=True)
class _Walk:
    """A unit on its way, with the draws that decide what happens to it."""

    line: str
    serial: str
    model: company.Device
    seed: int
    draw: Random

    def through(
        self, stations: Iterable[_Station], clock: datetime, flow: str
    ) -> Generator[_Test, None, datetime | None]:
        """Yield its tests at these stations; returns when it passed the last one, None where it is scrapped."""
        for station in stations:
            for attempt in range(_MOST_TRIES):
                failed = self.draw.random() < (_FAILS_AGAIN if attempt else station.fails)
                test = self.test(station, _working(clock), flow, not failed)
                yield test
                clock = test.end + timedelta(seconds=self.draw.randrange(600, 2_400))
                if not failed:
                    break
                if self.draw.random() < _AGAIN_TOMORROW:
                    clock = _days_later(clock, 1)
            else:
                return None
        return clock

    def test(self, station: _Station, start: datetime, flow: str, passed: bool) -> _Test:
        draw, day = self.draw, start.date()
        workstation = draw.choice(station.workstations)
        offline = landing.stream(self.seed, day, f"offline {workstation}").random() < _OFFLINE
        return _Test(
            line=self.line,
            board=station is _BOARD_TEST,
            serial=self.serial,
            model=self.model,
            station=station.name,
            workstation=workstation,
            operator=draw.choice(_OPERATORS),
            result=draw.choice(("PASS", "PASS", "Pass", "P") if passed else ("FAIL", "FAIL", "Fail", "F")),
            code="" if passed else draw.choice(station.codes),
            start=start,
            end=start + timedelta(seconds=draw.choice(station.seconds)),
            flow=flow,
            day=_open_after(day) if offline else day,
        )


def _spoilt(test: _Test, draw: Random) -> _Test:
    """Return the test, or, rarely, what a careless hand or a wrong clock makes of it."""
    if draw.random() >= _DIRTY or not isinstance(test.start, datetime):
        return test
    kind = draw.choice(("backwards", "nobody", "no day"))
    if kind == "backwards":
        return replace(test, end=test.start - timedelta(minutes=5))
    if kind == "nobody":
        return replace(test, serial="")
    return replace(test, start=f"{test.start.year}-02-30 {test.start:%H:%M:%S}")


# -- the workshop's calendar


def _working(moment: datetime) -> datetime:
    """Return the moment, or where the workshop is closed then, as far into the next day on which it is open."""
    if moment.hour < _OPENS:
        moment = moment.replace(hour=_OPENS)
    elif moment.hour >= _CLOSES:
        moment = _days_later(moment, 1)
    return moment if _is_open(moment.date()) else _days_later(moment, 1)


def _days_later(moment: datetime, days: int) -> datetime:
    """Return a moment in the morning of the first open day at least so many days later."""
    day = _open_after(moment.date() + timedelta(days=days - 1))
    return moment.replace(year=day.year, month=day.month, day=day.day, hour=_OPENS + moment.hour % 4)


def _open_after(day: date) -> date:
    following = day + timedelta(days=1)
    return following if _is_open(following) else _open_after(following)


def _is_open(day: date) -> bool:
    return day.weekday() < _SATURDAY and (day.month, day.day) not in company.HOLIDAYS


# -- the files

_Cells = tuple[datetime | str, ...]


def _cells(test: _Test) -> _Cells:
    return (
        test.serial, test.model.number, test.model.part, test.station, test.workstation, test.operator, test.result,
        test.code, test.start, test.end, test.flow,
    )  # fmt: skip


def _board_cells(test: _Test) -> _Cells:
    return (
        test.serial, test.model.number, test.model.part, test.workstation, test.operator, test.result,
        test.code, test.start, test.end,
    )  # fmt: skip


def _text(header: Sequence[str], rows: Iterable[_Cells]) -> bytes:
    cells = ([f"{cell:%Y-%m-%d %H:%M:%S}" if isinstance(cell, datetime) else cell for cell in row] for row in rows)
    return landing.csv_text(header, cells, line_end="\r\n").encode()


def _workbook(header: Sequence[str], rows: Sequence[_Cells]) -> bytes:
    """Return a workbook with real dates and times, serial numbers as text, and blank rows at the end."""
    import xlsxwriter

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"created": datetime(2020, 1, 1)})  # else the hour of writing would be in the bytes
    bold, moment = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    sheet = book.add_worksheet("Log")
    sheet.write_row(0, 0, header, bold)
    for number, row in enumerate(rows, 1):
        for column, cell in enumerate(row):
            if isinstance(cell, datetime):
                sheet.write_datetime(number, column, cell.replace(tzinfo=None), moment)
            elif cell:
                sheet.write_string(number, column, cell)
    for number in range(len(rows) + 1, len(rows) + 4):
        sheet.write_blank(number, len(header) - 1, None, moment)
    book.close()
    return buffer.getvalue()
