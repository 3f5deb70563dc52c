"""The sample company's delivery feed: shipments, tracking events, carriers and customers, a file of each day.

Law: a file is a function of its day and the seed alone. Every order of the shop (src/demo/sales.py) leaves a
warehouse up to two days later, and all that becomes of it - its carrier, its promise and the corrections of it, its
delivery, its reports - is drawn from the stream of the order's day. A day's file is what of all this comes on it.

    shipments        a row for everything that changes on a shipment, each with all that is known of it by then
    tracking_events  a JSON object for every report of a carrier that came in, about five a shipment
    carriers         all carriers, every day
    customers        all customers, on Mondays; a dozen change each week

The defects that such feeds have:

    about 5 %    promises corrected on the way, and 1 % two to five weeks after the shipment left
    about 2 %    shipment rows that come one to four days late, after newer ones of the same shipment
    about 1 %    exact copies of a row within the day, and a few of the day before's rows once more
    about 15 %   events that are reported one to six days late, and 4 % that are reported twice
    all          events in no order within their file
    about 0.5 %  dirty rows
    about 1 %    shipments that never arrive
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache, partial
from pathlib import Path
from random import Random

from src.demo import landing, sales
from src.demo.landing import stream as drawn

FEED = Path("delivery")
SHIPMENTS = (
    "ShipmentID", "OrderID", "CustomerID", "Carrier", "Origin", "Destination", "Shipped", "Promised", "Delivered",
    "Revenue", "Cost", "WeightKg", "CarbonKg", "UpdatedAt",
)  # fmt: skip
CARRIERS = ("Carrier", "Name", "Mode", "OnTimeTarget", "ChangedOn", "AsOf")
CUSTOMERS = ("CustomerID", "Name", "Segment", "Country", "ChangedOn")

_DAY = timedelta(days=1)
_CLOSES = time(21)
_LONGEST = 50  # days from an order to the last row or report of it
_OPENED = date(2025, 1, 6)  # a Monday: every customer's account is as old, and its first week of changes


@dataclass(frozen=True)
class _Carrier:
    code: str
    name: str
    mode: str
    target: str  # percent
    late: int  # in a thousand shipments
    carbon: int  # grams a kilogram and unit of distance


_CARRIERS = (
    _Carrier("HARRIER", "Harrier Parcels", "road", "92.00", 90, 60),
    _Carrier("KESTREL", "Kestrel Air", "air", "95.00", 60, 600),
    _Carrier("LANGSHIP", "Langship Lines", "sea", "85.00", 170, 15),
    _Carrier("PACKHORSE", "Packhorse Haulage", "road", "90.00", 120, 75),
    _Carrier("TERN", "Tern Express", "air", "94.00", 80, 550),
)
_ORIGINS, _ORIGIN_WEIGHTS = ("Leith", "Felixstowe"), (2, 3)
_HOME = {"United Kingdom", "EIRE", "Channel Islands"}
_FAR = {"Australia", "Japan", "USA"}
_REACHES = (1, 3, 12)  # distance at home, in Europe, overseas
_PROMISES = (3, 6, 14)  # days
_SEGMENTS, _SEGMENT_WEIGHTS = ("shop", "online", "wholesale", "private"), (50, 28, 15, 7)
_STREETS = ("HARBOUR", "MILL", "STATION", "CASTLE", "CHURCH", "ORCHARD", "BRIDGE", "MARKET", "TOWER", "MEADOW")
_TRADES = ("GIFTS", "INTERIORS", "TRADING", "STORES", "& SONS", "COLLECTIVE", "SUPPLIES", "EMPORIUM")
_CHANGES_A_WEEK = range(8, 17)

_LOST = 10  # in a thousand
_CORRECTED, _CORRECTED_LONG_AFTER = 50, 12  # in a thousand
_ROW_LATE = 20  # in a thousand
_REPORT_LAGS, _REPORT_LAG_WEIGHTS = (0, 1, 2, 3, 4, 6), (850, 90, 30, 15, 10, 5)
_REPORTED_TWICE = 40  # in a thousand
_COPIES, _DIRTY = 0.01, 0.005
_OVERLAP = range(2, 6)


@dataclass(frozen=True)
class _Life:
    """A shipment from end to end. `promises`: from which day on which day is promised; the first is of its leaving."""

    order: sales.Order
    carrier: _Carrier
    origin: str
    shipped: date
    promises: tuple[tuple[date, date], ...]
    delivered: date | None
    cost: Decimal
    weight: Decimal
    carbon: Decimal
    rows: tuple[tuple[date, str], ...]  # when a row of it comes, and as of when (YYYY-MM-DD HH:MM:SS)
    reports: tuple[tuple[date, str], ...]  # when a report of it comes, and its JSON text

    @property
    def number(self) -> str:
        return f"S{self.order.number}"


def land(landing_zone: Path, *, days: int, last: date, seed: int) -> list[Path]:
    """Land the files of the `days` days that end with `last` in `landing_zone`, as `landing.land` does."""

    def files(today: date) -> Iterator[landing.File]:
        for name, text in _files(today):
            yield FEED / name, partial(_bytes, text, today, seed), datetime.combine(today, _CLOSES, UTC)

    return landing.land(landing_zone, files, days=days, last=last)


def _bytes(text: Callable[[date, int], str], today: date, seed: int) -> bytes:
    return text(today, seed).encode()


def _files(today: date) -> Iterator[tuple[str, Callable[[date, int], str]]]:
    """Yield the names of a day's files below the feed, each with what its text is of the day and the seed."""
    yield f"carriers/{today}.csv", carriers
    if today.weekday() == _OPENED.weekday():
        yield f"customers/{today}.csv", customers
    yield f"shipments/{today}.csv", shipments
    yield f"tracking_events/{today}.ndjson", tracking_events


# -- carriers and customers


def carriers(today: date, seed: int) -> str:
    """Return all carriers as CSV. In 2026 one of them agrees to more."""
    raised = date(2026, 1, 1)
    better = {"PACKHORSE": ("91.00", raised)} if today >= raised else {}
    rows = ((one, *better.get(one.code, (one.target, _OPENED))) for one in _CARRIERS)
    return landing.csv_text(
        CARRIERS, ((one.code, one.name, one.mode, target, str(since), str(today)) for one, target, since in rows)
    )


def customers(today: date, seed: int) -> str:
    """Return all customers as CSV, each as it is on the day."""
    return landing.csv_text(CUSTOMERS, _customers((today - _OPENED).days // 7, seed))


def _customers(weeks: int, seed: int) -> list[tuple[str, ...]]:
    """Return the customers after so many weeks of changes."""
    rows = list(_first_customers(seed))
    for monday in (_OPENED + timedelta(weeks=week) for week in range(1, weeks + 1)):
        stream = drawn(seed, monday, "customers")
        for at in stream.sample(range(len(rows)), k=stream.choice(_CHANGES_A_WEEK)):
            # from a day of the week that ends with the snapshot
            rows[at] = _changed(rows[at], str(monday - stream.randrange(7) * _DAY), stream)
    return rows


def _changed(row: tuple[str, ...], since: str, stream: Random) -> tuple[str, ...]:
    number, name, segment, country, _ = row
    if stream.randrange(3):
        return number, name, stream.choice([other for other in _SEGMENTS if other != segment]), country, since
    return number, _name(stream), segment, country, since


@lru_cache(maxsize=4)
def _first_customers(seed: int) -> tuple[tuple[str, ...], ...]:
    stream = drawn(seed, _OPENED, "customers")
    known = sales.customers(seed)
    segments = stream.choices(_SEGMENTS, _SEGMENT_WEIGHTS, k=len(known))
    return tuple(
        (_customer(number), _name(stream), segment, country, str(_OPENED))
        for (number, country), segment in zip(known, segments, strict=True)
    )


def _name(stream: Random) -> str:
    return f"{stream.choice(_STREETS)} {stream.choice(_TRADES)}"


def _customer(number: str) -> str:
    """Return a customer's number as the warehouse writes it; the till writes 12346.0."""
    return number.partition(".")[0]


# -- shipments


def shipments(today: date, seed: int) -> str:
    """Return the rows that the warehouse sends on a day, as CSV."""
    stream = drawn(seed, today, "shipment faults")
    rows = [*_overlap(today, seed), *_rows(today, seed)]
    for at in stream.sample(range(len(rows)), k=_random_count(len(rows) * _DIRTY, stream)):
        rows[at] = _damaged(rows[at], stream)
    for at in sorted(stream.choices(range(len(rows)), k=_random_count(len(rows) * _COPIES, stream)), reverse=True):
        rows.insert(at, rows[at])
    return landing.csv_text(SHIPMENTS, rows)


def _overlap(today: date, seed: int) -> Sequence[tuple[str, ...]]:
    """Return the last rows of the day before, which its own file has too."""
    return _rows(today - _DAY, seed)[-drawn(seed, today, "overlap").choice(_OVERLAP) :]


def _rows(today: date, seed: int) -> list[tuple[str, ...]]:
    """Return the sound rows of a day in the order in which they were written."""
    found = [(at, life) for life in _lives_near(today, seed) for day, at in life.rows if day == today]
    return [_row(life, at) for at, life in sorted(found, key=lambda row: (row[0], row[1].number))]


def _row(life: _Life, at: str) -> tuple[str, ...]:
    """Return all that is known of a shipment at a moment."""
    known = date.fromisoformat(at[:10])
    promised = [promise for since, promise in life.promises if since <= known][-1]
    delivered = str(life.delivered) if life.delivered and life.delivered <= known else ""
    return (
        life.number, life.order.number, _customer(life.order.customer), life.carrier.code, life.origin,
        life.order.country, str(life.shipped), str(promised), delivered, f"{life.order.amount:.2f}", str(life.cost),
        str(life.weight), str(life.carbon), at,
    )  # fmt: skip


def _damaged(row: tuple[str, ...], stream: Random) -> tuple[str, ...]:
    """Return a row as it comes out of a careless export."""
    shipment = dict(zip(SHIPMENTS, row, strict=True))
    before = str(date.fromisoformat(shipment["Shipped"]) - 9 * _DAY)
    field, value = stream.choice(
        (
            ("Promised", f"{shipment['Promised'][:4]}-02-30"),
            ("Revenue", "1,234.50"),
            ("WeightKg", "NaN"),
            ("ShipmentID", ""),
            ("Delivered", before),
            (None, ""),
        )
    )
    if field is None:
        return row[:6]  # cut short
    return tuple((shipment | {field: value}).values())


# -- tracking events


def tracking_events(today: date, seed: int) -> str:
    """Return the reports that come in on a day, one JSON object a line, in no order."""
    stream = drawn(seed, today, "event faults")
    lines = [text for life in _lives_near(today, seed) for day, text in life.reports if day == today]
    stream.shuffle(lines)
    for at in stream.sample(range(len(lines)), k=_random_count(len(lines) * _DIRTY, stream)):
        lines[at] = _garbled(lines[at], stream)
    return "".join(f"{line}\n" for line in lines)


def _garbled(line: str, stream: Random) -> str:
    kind = stream.randrange(4)
    if kind == 0:
        return line[: len(line) // 2]  # no longer JSON
    event = json.loads(line)
    if kind == 1:
        event["time"] = event["time"].replace("T", " at ")
    elif kind == 2:
        event["location"]["position"] = {"lat": 999, "lon": 999}
    else:
        event["type"] = ""
    return json.dumps(event)


# -- what becomes of an order


def _lives_near(today: date, seed: int) -> Iterator[_Life]:
    """Yield the shipments of which a row or a report can come on a day."""
    for back in reversed(range(_LONGEST + 1)):
        yield from _lives(today - back * _DAY, seed)


@lru_cache(maxsize=2 * _LONGEST)
def _lives(ordered: date, seed: int) -> tuple[_Life, ...]:
    stream = drawn(seed, ordered, "shipments")
    return tuple(_life(order, ordered, stream) for order in sales.orders(ordered, seed))


def _life(order: sales.Order, ordered: date, stream: Random) -> _Life:
    carrier, far = stream.choice(_CARRIERS), _far(order.country)
    shipped = ordered + stream.choices((0, 1, 2), (55, 35, 10))[0] * _DAY
    promised = shipped + (_PROMISES[far] + 2 * (carrier.mode == "sea") - (carrier.mode == "air")) * _DAY
    late = stream.randrange(1000) < carrier.late
    off = stream.choice((1, 1, 1, 2, 2, 3, 5)) if late else -stream.choice((0, 0, 0, 1, 1, 2))
    arrives = max(shipped, promised + off * _DAY)
    weight = _rounded(order.amount / 9 + Decimal(stream.randrange(20, 400)) / 100, "0.01")
    life = _Life(
        order=order,
        carrier=carrier,
        origin=stream.choices(_ORIGINS, _ORIGIN_WEIGHTS)[0],
        shipped=shipped,
        promises=_promises(shipped, promised, arrives, stream),
        delivered=None if stream.randrange(1000) < _LOST else arrives,
        cost=_rounded(order.amount * stream.randrange(52, 72) / 100 + weight * _REACHES[far] / 10, "0.01"),
        weight=weight,
        carbon=_rounded(weight * carrier.carbon * _REACHES[far] / 1000, "0.001"),
        rows=(),
        reports=(),
    )
    return replace(life, rows=_written(life, stream), reports=_reports(life, far, stream))


def _far(country: str) -> int:
    """Return how far a country is: 0 at home, 1 in Europe, 2 overseas."""
    return 0 if country in _HOME else 2 if country in _FAR else 1


def _promises(shipped: date, promised: date, arrives: date, stream: Random) -> tuple[tuple[date, date], ...]:
    found = [(shipped, promised)]
    if stream.randrange(1000) < _CORRECTED:
        found.append((shipped + stream.choice((1, 1, 2)) * _DAY, promised + stream.choice((-1, 1, 1, 2, 3)) * _DAY))
    if stream.randrange(1000) < _CORRECTED_LONG_AFTER:
        right = max(shipped, arrives + stream.choice((-2, -1, 0, 0, 1)) * _DAY)
        found.append((shipped + stream.randrange(14, 37) * _DAY, right))
    return tuple(found)


def _written(life: _Life, stream: Random) -> tuple[tuple[date, str], ...]:
    """Return the rows of a shipment: one when it leaves, when a promise is corrected, and when it arrives."""
    changes = {since: 11 for since, _ in life.promises} | {life.shipped: 16}
    if life.delivered:
        changes[life.delivered] = 20
    rows = []
    for day, hour in changes.items():
        comes = day + stream.randrange(1, 5) * _DAY if stream.randrange(1000) < _ROW_LATE else day
        rows.append((comes, f"{day} {hour}:{stream.randrange(60):02}:{stream.randrange(60):02}"))
    return tuple(rows)


def _reports(life: _Life, far: int, stream: Random) -> tuple[tuple[date, str], ...]:
    """Return the carrier's reports of a shipment, each event when it comes, and some of them once more."""
    found: list[tuple[date, str]] = []
    for kind, day, hour, site in _events(life, far):
        at = datetime.combine(day, time(hour, stream.randrange(60), stream.randrange(60)))
        lag = stream.choices(_REPORT_LAGS, _REPORT_LAG_WEIGHTS)[0]
        again = (lag + stream.choice((0, 1, 2)),) if stream.randrange(1000) < _REPORTED_TWICE else ()
        for days in (lag, *again):
            received = at + timedelta(days=days, minutes=stream.randrange(1, 30))
            found.append((received.date(), _report(life, kind, at, received, site)))
    return tuple(found)


def _events(life: _Life, far: int) -> Iterator[tuple[str, date, int, tuple[str, str]]]:
    """Yield type, day, hour and place of a shipment's events; a lost one is not heard of after it departed."""
    here, there = (f"{life.origin} depot", "United Kingdom"), (f"{life.order.country} depot", life.order.country)
    yield "picked_up", life.shipped, 17, here
    yield "departed", life.shipped, 21, here
    if life.delivered:
        yield "arrived", max(life.shipped, life.delivered - (1 + far) * _DAY), 23, there
        yield "out_for_delivery", life.delivered, 7, there
        yield "delivered", life.delivered, 14, ("customer's door", life.order.country)


def _report(life: _Life, kind: str, at: datetime, received: datetime, site: tuple[str, str]) -> str:
    north = 35 + sum(map(ord, site[1])) % 25  # some point or other, the same for every report of a country
    location = {"site": site[0], "country": site[1], "position": {"lat": north, "lon": north - 45}}
    event = {"shipment_id": life.number, "type": kind, "time": f"{at.isoformat()}Z"}
    return json.dumps(
        event | {"received": f"{received.isoformat()}Z", "carrier": life.carrier.code, "location": location}
    )


# -- text


def _random_count(expected: float, stream: Random) -> int:
    """Return a whole number that is the expected one on average."""
    return int(expected) + (stream.random() < expected % 1)


def _rounded(number: Decimal, to: str) -> Decimal:
    return number.quantize(Decimal(to), ROUND_HALF_UP)
