"""The sample company's sales feed: one CSV file of invoice lines per trading day.

Law: a file is a function of its day and the seed alone, so the same day has the same bytes whatever
else is landed. Every draw comes from a stream that is named after seed, day and purpose, and whole
batches are drawn at once. Nothing is drawn that goes through the platform's mathematics (no gauss, no
log), so the bytes are the same on every machine and Python version.

The company is invented; the shape and the habits of its files are those of a real shop's (UCI Online
Retail): cancellations on `C` invoices, bad debt on `A` invoices, stock corrections at no price, a
quarter of the lines without a customer, stray blanks. Nothing is ever corrected in place: a wrong line
is reversed and written again. On top come the defects every feed has:

    about 1 %    exact copies of a line within the day
    3 to 9       of the day before's last lines once more, as the exports overlap
    1 to 4       late invoices, dated 1 to 9 days earlier, on Mondays in a file of their own
    about 0.5 %  dirty rows
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from random import Random

from src.demo import company, landing
from src.demo.landing import stream as drawn

HEADER = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
FEED = Path("sales/order_lines")

Row = tuple[str, ...]  # the fields of one line, in the order of HEADER
_INVOICE, _QUANTITY, _DATE, _PRICE, _CUSTOMER, _COUNTRY = (
    HEADER.index(name) for name in ("InvoiceNo", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
)

_SATURDAY, _MONDAY = 5, 0
_OPENS, _CLOSES = 8, 18  # hours

# How busy the shop is: sales on a plain day, then what weekday, month and the years make of it.
_SALES = 80
_MOST_SALES = 180
_WEEKDAYS = (1.08, 1.06, 1.04, 1.15, 0.95, 0.0, 0.6)
_MONTHS = (0.85, 0.8, 0.9, 0.85, 0.95, 0.95, 0.9, 0.9, 1.1, 1.25, 1.45, 1.15)
_GROWTH_A_YEAR = 0.06
_GROWTH_FROM = date(2025, 1, 1)

# Every day has its own block of six-digit invoice numbers; they come round again after ten years.
_BLOCK = 240
_BLOCKS = 900_000 // _BLOCK
_LATE_FROM = 230  # the last numbers of a block are for invoices that are entered late

_ANONYMOUS = 0.19  # of the invoices, and a quarter of the lines: they are either very short or very long
_SIZES, _SIZE_WEIGHTS = (1, 3, 6, 10, 14, 18, 24, 32, 48, 70), (12, 10, 12, 13, 13, 12, 11, 9, 5, 3)
_ANONYMOUS_SIZES, _ANONYMOUS_WEIGHTS = (1, 2, 25, 60, 120), (45, 10, 20, 15, 10)
_QUANTITIES = (1, 2, 3, 4, 6, 8, 10, 12, 20, 24, 25, 36, 48, 72, 96, 144)
_QUANTITY_WEIGHTS = (260, 150, 70, 80, 110, 40, 60, 120, 20, 50, 20, 8, 8, 3, 2, 1)
_BULK = 24  # from here the price is lower
_WITH_DEVICE = 0.15  # of the sales also sell a device that the company makes itself

_COPIES = 0.01
_DIRTY = 0.005
_OVERLAP = range(3, 10)
_BAD_DEBT = 0.02  # of the days

_COUNTRIES = {
    "United Kingdom": 900, "Germany": 24, "France": 20, "EIRE": 15, "Spain": 6, "Netherlands": 5, "Belgium": 5,
    "Switzerland": 4, "Portugal": 3, "Australia": 3, "Norway": 2, "Italy": 2, "Channel Islands": 2, "Finland": 2,
    "Sweden": 2, "Japan": 1, "Poland": 1, "USA": 1, "Unspecified": 1,
}  # fmt: skip
_HOME = "United Kingdom"

_STYLES = (
    "RED SPOTTY", "BLUE GINGHAM", "VINTAGE ROSE", "ENAMEL", "WOODLAND", "HARBOUR", "ANTIQUE CREAM", "RIVER",
    "PINK STRIPE", " RUSTIC", "BOTANICAL", "STARRY", "IVORY LACE", "SWALLOW", "GLASS", "WICKER", "PAPER", "COPPER",
)  # fmt: skip
_THINGS = (
    "LANTERN", "LUNCH BAG", "JUMBO BAG ", "CAKE STAND", "T-LIGHT HOLDER", "BUNTING", "MUG", "TEA TOWEL", "COAT HOOK",
    "CAKE CASES, PACK OF 60", "NAPKINS", "DOORMAT", "WALL CLOCK", "PICTURE FRAME 7\" SQUARE", "STORAGE TIN ",
    "GIFT WRAP", "BIRTHDAY CARD", "CANDLE", "HOT WATER BOTTLE", "RECIPE BOX  ", "EGG CUP", "KEY RING", "MONEY BOX",
    "GARDEN SIGN",
)  # fmt: skip
# In thousandths, as a few of the smallest things cost a fraction of a penny.
_PRICES = (
    420, 550, 850, 1250, 1450, 1650, 1950, 2080, 2100, 2550, 2950, 3750, 4250, 4950, 5950, 7950, 9950, 12750, 165,
)  # fmt: skip
_PRICE_WEIGHTS = (8, 6, 12, 14, 8, 14, 8, 6, 4, 6, 8, 4, 4, 6, 2, 2, 2, 1, 1)


@dataclass(frozen=True)
class _Product:
    code: str
    name: str
    price: str
    bulk_price: str


@dataclass(frozen=True)
class _Shop:
    """The constants of a shop: products and customers, each with how often they are drawn."""

    products: tuple[_Product, ...]
    product_weights: tuple[int, ...]  # cumulative
    customers: tuple[tuple[str, str], ...]  # id and country
    customer_weights: tuple[int, ...]  # cumulative


@dataclass(frozen=True)
class _Event:
    """One invoice that a day will issue, before it has lines. Kind: sale, return, wrong, right, stock, debt."""

    number: str
    kind: str
    at: str


def land(landing_zone: Path, *, days: int, last: date, seed: int) -> list[Path]:
    """Land the files of the `days` days that end with `last` in `landing_zone`, as `landing.land` does."""

    def files(today: date) -> Iterator[landing.File]:
        for name, rows in _files(today, seed):
            yield FEED / name, partial(_bytes, rows), datetime.combine(today, time(_CLOSES + 2), UTC)

    return landing.land(landing_zone, files, days=days, last=last)


def day(day: date, seed: int) -> str:
    """Return the text of the day's own file; only its header where the shop is closed."""
    return landing.csv_text(HEADER, next((rows for _, rows in _files(day, seed)), ()))


@dataclass(frozen=True)
class Order:
    """A sale to a customer with an account, as the warehouse sees it."""

    number: str
    at: str  # YYYY-MM-DD HH:MM:SS
    customer: str
    country: str
    amount: Decimal  # pounds


def orders(today: date, seed: int) -> list[Order]:
    """Return the sales of a day that name a customer, in the order of their numbers; none on closed days."""
    if not _is_open(today):
        return []
    sales = _sales(_events(today, seed), _shop(seed), drawn(seed, today, "sales"))
    return [
        Order(number, rows[0][_DATE], rows[0][_CUSTOMER], rows[0][_COUNTRY], sum(map(_amount, rows), Decimal()))
        for number, rows in sales
        if rows[0][_CUSTOMER]
    ]


def customers(seed: int) -> tuple[tuple[str, str], ...]:
    """Return number and country of every customer with an account."""
    return _shop(seed).customers


def _amount(row: Row) -> Decimal:
    return int(row[_QUANTITY]) * Decimal(row[_PRICE])


def _files(today: date, seed: int) -> Iterator[tuple[str, Sequence[Row]]]:
    """Yield the names and lines of the files that arrive on a day, its own file first; none on closed days."""
    if not _is_open(today):
        return
    late = _late(today, seed)
    apart = today.weekday() == _MONDAY
    yield f"{today}.csv", [*_overlap(today, seed), *_spoilt(today, seed), *(() if apart else late)]
    if apart:
        yield f"{today}-late.csv", late


def _bytes(rows: Iterable[Row]) -> bytes:
    return landing.csv_text(HEADER, rows).encode()


def _overlap(today: date, seed: int) -> Sequence[Row]:
    """Return the last lines of the day before, which its own file has too: they are kept from being spoilt there."""
    count = drawn(seed, today, "overlap").choice(_OVERLAP)
    return _book(_earlier(today), seed)[-count:]


def _spoilt(today: date, seed: int) -> list[Row]:
    """Return the day's lines with some written twice and some damaged."""
    stream = drawn(seed, today, "faults")
    rows = list(_book(today, seed))
    sound = len(rows) - _OVERLAP.stop
    for index in stream.choices(range(sound), k=round(len(rows) * _DIRTY)):
        rows[index] = _damaged(rows[index], stream, today)
    for index in sorted(stream.choices(range(sound), k=round(len(rows) * _COPIES)), reverse=True):
        rows.insert(index, rows[index])
    return rows


def _damaged(row: Row, stream: Random, today: date) -> Row:
    """Return a line as it comes out of a careless export: it no longer fits its columns' types."""
    field, value = stream.choice(
        (
            (_PRICE, "1,234.50"),
            (_PRICE, "NaN"),
            (_DATE, f"{today.year}-02-30 10:15:00"),
            (_INVOICE, ""),
            (_QUANTITY, "twelve"),
            (None, ""),
        )
    )
    if field is None:
        return row[:4]  # cut short
    return (*row[:field], value, *row[field + 1 :])


@lru_cache(maxsize=4)
def _book(today: date, seed: int) -> tuple[Row, ...]:
    """Return every line of the invoices that a day issues, without defects, by invoice number."""
    shop = _shop(seed)
    events = _events(today, seed)
    sold = dict(_sales(events, shop, drawn(seed, today, "sales")))
    others = dict(_others(events, shop, _earlier_sales(today, seed), drawn(seed, today, "others")))
    invoices = sold | others
    return tuple(row for event in events for row in invoices[event.number])


def _earlier_sales(today: date, seed: int) -> list[Row]:
    before = _earlier(today)
    sales = _sales(_events(before, seed), _shop(seed), drawn(seed, before, "sales"))
    return [row for _, rows in sales for row in rows]


def _events(today: date, seed: int) -> list[_Event]:
    """Return the day's invoices in the order of their numbers, which is that of the clock."""
    stream = drawn(seed, today, "events")
    sales = min(_MOST_SALES, round(_SALES * _busy(today) * (0.85 + 0.3 * stream.random())))
    kinds = ["sale"] * sales + ["return"] * (sales // 8) + ["wrong"] * stream.choice((2, 3, 4))
    kinds += ["stock"] * stream.choice((1, 2, 3)) + ["debt"] * (stream.random() < _BAD_DEBT)
    stream.shuffle(kinds)
    kinds = [one for kind in kinds for one in ((kind, "right") if kind == "wrong" else (kind,))]
    minutes = range((_CLOSES - _OPENS) * 60)
    noon_heavy = list(accumulate(1 + min(minute, len(minutes) - minute) for minute in minutes))
    clock = sorted(stream.choices(minutes, cum_weights=noon_heavy, k=len(kinds)))
    return [
        _Event(_number(today, index), kind, _stamp(today, minute))
        for index, (kind, minute) in enumerate(zip(kinds, clock, strict=True))
    ]


def _sales(events: Iterable[_Event], shop: _Shop, stream: Random) -> Iterator[tuple[str, list[Row]]]:
    for event in events:
        if event.kind == "sale":
            yield event.number, _sale(event.number, event.at, shop, stream)


def _sale(number: str, at: str, shop: _Shop, stream: Random) -> list[Row]:
    """Return the lines of one sale: a basket of different products, with postage when it goes abroad."""
    if stream.random() < _ANONYMOUS:
        customer, country = "", _HOME
        size = stream.choices(_ANONYMOUS_SIZES, _ANONYMOUS_WEIGHTS)[0]
    else:
        customer, country = stream.choices(shop.customers, cum_weights=shop.customer_weights)[0]
        size = stream.choices(_SIZES, _SIZE_WEIGHTS)[0]
    size += int(stream.random() * size / 2)
    basket = dict.fromkeys(stream.choices(shop.products, cum_weights=shop.product_weights, k=size))
    quantities = stream.choices(_QUANTITIES, _QUANTITY_WEIGHTS, k=len(basket))
    rows: list[Row] = [
        (number, one.code, one.name, str(many), at, one.bulk_price if many >= _BULK else one.price, customer, country)
        for one, many in zip(basket, quantities, strict=True)
    ]
    if stream.random() < _WITH_DEVICE:
        device, many = stream.choices(company.DEVICES, company.WEIGHTS)[0], stream.choice((1, 1, 1, 2, 2, 6))
        rows.append((number, device.number, device.name, str(many), at, device.price, customer, country))
    if country != _HOME:
        rows.append((number, "POST", "POSTAGE", "1", at, "18.0", customer, country))
    return rows


def _others(
    events: Iterable[_Event], shop: _Shop, earlier: Sequence[Row], stream: Random
) -> Iterator[tuple[str, list[Row]]]:
    """Yield the invoices that are no sales: returns and corrections of the day before's lines, stock, bad debt."""
    mistaken = earlier[0]
    for event in events:
        if event.kind == "return":
            yield event.number, [_reversed(row, event) for row in _picked(earlier, stream)]
        elif event.kind == "wrong":
            mistaken = stream.choice(earlier)
            yield event.number, [_reversed(mistaken, event)]
        elif event.kind == "right":
            yield event.number, [_corrected(mistaken, event, stream)]
        elif event.kind == "stock":
            yield event.number, [_written_off(event, stream.choice(shop.products), stream)]
        elif event.kind == "debt":
            owed = f"{-stream.randrange(100_000, 1_200_000) / 100}"
            yield event.number, [(f"A{event.number}", "B", "Adjust bad debt", "1", event.at, owed, "", _HOME)]


def _picked(rows: Sequence[Row], stream: Random) -> Sequence[Row]:
    """Return one to eight lines of one invoice, different ones."""
    start = stream.randrange(len(rows))
    count = stream.choices((1, 2, 4, 8), (55, 25, 12, 8))[0]
    return [row for row in rows[start : start + count] if row[_INVOICE] == rows[start][_INVOICE]]


def _reversed(row: Row, event: _Event) -> Row:
    _, code, name, quantity, _, *rest = row
    return (f"C{event.number}", code, name, f"-{quantity}", event.at, *rest)


def _corrected(row: Row, event: _Event, stream: Random) -> Row:
    """Return the line as it should have been: the same with another quantity."""
    _, code, name, quantity, _, *rest = row
    right = int(quantity) + stream.choice((1, 2, 6, 12))
    return (event.number, code, name, str(right), event.at, *rest)


def _written_off(event: _Event, product: _Product, stream: Random) -> Row:
    """Return goods found broken or missing: a negative quantity at no price, and no customer."""
    reason = stream.choice(("", "", "damaged", "check", "?"))
    return (event.number, product.code, reason, f"-{stream.randrange(1, 60)}", event.at, "0.0", "", _HOME)


def _late(today: date, seed: int) -> list[Row]:
    """Return sales of the last nine days that only come in now; no earlier file has them."""
    stream = drawn(seed, today, "late")
    shop = _shop(seed)
    before = (today - timedelta(days=back) for back in range(1, 10))
    open_days = [then for then in before if _is_open(then)]
    rows: list[Row] = []
    for index in range(stream.choice((1, 2, 3, 4))):
        sold_on = stream.choice(open_days)
        at = _stamp(sold_on, stream.randrange((_CLOSES - _OPENS) * 60))
        rows += _sale(_number(today, _LATE_FROM + index), at, shop, stream)[:5]
    return rows


@lru_cache(maxsize=4)
def _shop(seed: int) -> _Shop:
    stream = Random(f"{seed}/shop")
    names = [f"{style} {thing}" for style in _STYLES for thing in _THINGS]
    stream.shuffle(names)
    codes = [f"{code}{stream.choice(('', '', '', 'A', 'B'))}" for code in range(20_500, 20_500 + 7 * len(names), 7)]
    prices = stream.choices(_PRICES, _PRICE_WEIGHTS, k=len(names))
    products = tuple(
        _Product(code, name, _price(price), _price(price * 85 // 1000 * 10 if price >= 1000 else price))
        for code, name, price in zip(codes, names, prices, strict=True)
    )
    ids = range(12_346, 12_346 + 1_800)
    countries = stream.choices(list(_COUNTRIES), list(_COUNTRIES.values()), k=len(ids))
    customers = tuple((f"{number}.0", country) for number, country in zip(ids, countries, strict=True))
    return _Shop(products, _falling(len(products)), customers, _falling(len(customers)))


def _falling(count: int) -> tuple[int, ...]:
    """Return cumulative weights by which the first are drawn most, and the last still now and then."""
    return tuple(accumulate(1_000_000 // (index + 30) for index in range(count)))


def _price(thousandths: int) -> str:
    return str(thousandths / 1000)


def _number(today: date, index: int) -> str:
    return str(100_000 + today.toordinal() % _BLOCKS * _BLOCK + index)


def _stamp(today: date, minute: int) -> str:
    return f"{today} {_OPENS + minute // 60:02}:{minute % 60:02}:00"


def _busy(today: date) -> float:
    years = (today - _GROWTH_FROM).days / 365
    growth = min(2.0, max(0.5, 1 + _GROWTH_A_YEAR * years))
    return _WEEKDAYS[today.weekday()] * _MONTHS[today.month - 1] * growth


def _is_open(today: date) -> bool:
    return today.weekday() != _SATURDAY and (today.month, today.day) not in company.HOLIDAYS


def _earlier(today: date) -> date:
    """Return the trading day before."""
    before = today - timedelta(days=1)
    return before if _is_open(before) else _earlier(before)
