"""The daily tables that Google Analytics 4 exports to BigQuery, read page by page and never by a query, which is paid.

A slice is a property's day: the table `events_YYYYMMDD` of its dataset, in the property's own time zone. A day that is
still streamed (`events_intraday_*`, `events_fresh_*`) is none. Google adds to a day for up to three days after it, so
the lookback asks again, and by the table's etag it is told that nothing changed without a row being read. What landed
is one state of the table: its etag is the same before the first page and after the last, and its rows are as many as
it says.

Rows land nested as they are, whatever columns the table has, and as the text that the server sent: an integer beyond
2^53, a numeric or a float loses no digit.
"""

from __future__ import annotations

import gc
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from src.errors import AuthError, BoathouseError, ContractError, TransientError
from src.landing.connector import AccountError, Answer, Asked, BusyError, NotYetError, Option, Slice
from src.landing.http import reason_of, retry_after
from src.landing.options import ACCOUNTS, is_count, is_span, is_url, is_word, seconds
from src.landing.patience import patiently
from src.landing.registry import setting
from src.settings import struck

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud.bigquery import Client, SchemaField, Table
    from google.oauth2.service_account import Credentials

_SCOPE = "https://www.googleapis.com/auth/bigquery.readonly"
_DAILY = re.compile(r"events_(\d{8})")
_NAME = re.compile(r"\w+", re.ASCII)
_CLOSED = timedelta(days=4)  # after a day: Google makes and changes its table for three days
_BUSY = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"}  # reasons of a 403 that passes
_OWN_RETRY: Any = None  # the client does not try again by itself: the stage has patience
_OF_THE_CLIENT = (KeyError, TypeError, ValueError, AttributeError)  # where an answer is of another make
_LISTED = 1000  # tables a page
_LONGEST = 300  # characters of an error that are shown
_SHOWN = 8  # datasets by name
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_WHOLE = re.compile(r"-?\d+")
_NUMERIC = {"INTEGER", "INT64", "FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC", "DECIMAL", "BIGDECIMAL"}
_RECORDS = {"RECORD", "STRUCT"}
_LINE = 16  # characters: a shorter line of a key says nothing of it
_KEY_FIELDS = ("client_email", "private_key", "token_uri")

OPTIONS: Mapping[str, Option] = {
    "accounts": replace(ACCOUNTS, write=f"{ACCOUNTS.write}: datasets such as analytics_201", required=True),
    "project": Option("the Google Cloud project of the datasets; without it, that of the service account", is_word),
    "page": Option("how many rows are asked for at once, 1 or more", lambda value: is_count(value, 1), 1000),
    "timeout": Option("how long one answer may keep silent: 60 s", is_span, "60 s"),
    "url": Option(
        "where the API is",
        is_url,
        "https://bigquery.googleapis.com",
    ),
}
SECRETS = {"KEY": "where the JSON key of the service account lies, or its text in one line"}
PACKAGES = ("google-cloud-bigquery", "requests", "tenacity")


def slices(asked: Asked) -> Sequence[Slice]:
    """Return a slice for each property and day; asks nothing.

    Raises:
        ContractError: an account cannot be the name of a dataset.
    """
    if wrong := [account.name for account in asked.accounts if not _NAME.fullmatch(account.name)]:
        fix = "write the datasets of the properties, such as analytics_201"
        raise ContractError(f"accounts: {', '.join(wrong)} is no name of a dataset", where=_source(asked), fix=fix)
    shared = _Shared()
    return [
        Slice(f"{account.name}/{day}", day, any_order=True, account=account.name, details={"shared": shared})
        for account in asked.accounts
        for day in asked.days
    ]


def fetch(asked: Asked, part: Slice, answer: Answer) -> int:
    """Write the rows of a day's table; return how many, none where it is as it was."""

    def count() -> None:
        answer.requests += 1

    assert part.day, "a slice of a day"
    with _api(asked, part.details["shared"], count) as api:
        table = api.day(part.account, part.day)
        if table is None:
            return 0
        if table.etag and table.etag == _known_etag(asked, part.name):
            answer.unchanged()
            return 0
        rows = api.land(table, answer)
        if table.etag:
            answer.remember(table.etag.encode())
        return rows


def probe(asked: Asked) -> str:
    """Ask for the newest day's table of the first property."""
    dataset, day = asked.accounts[0].name, asked.end
    with _api(asked, _Shared(), lambda: None) as api:
        try:
            table = api.day(dataset, day)
        except NotYetError:
            table = None
        found = f"{table.num_rows:,} events" if table else "no table yet"
        return f"answers; {day} of {dataset} has {found}"


def _known_etag(asked: Asked, name: str) -> str | None:
    """Return the etag of the table that a slice's newest file was made of.

    A memory that is older than the file is of another state: a crash came between the two.
    """
    newest = max((one.pulled_at for one in asked.landed() if one.slice == name), default=None)
    memory = asked.remembered(name)
    if newest is None or memory is None or memory.pulled_at < newest:
        return None
    try:
        return gzip.decompress(memory.path.read_bytes()).decode()
    except (OSError, EOFError, ValueError):  # damaged: the rows are read
        return None


# -- the key


@dataclass
class _Shared:
    """Everything that the slices of one pull have in common."""

    credentials: Credentials | None = None  # with a token, which holds for an hour
    last_days: dict[str, date] = field(default_factory=dict)  # by dataset: the newest day that has a table


def _key(asked: Asked) -> dict[str, str]:
    """Return what the key of the service account says.

    Raises:
        AuthError: there is no file of it, or it is no such key; nothing of it is shown.
    """
    text = asked.secrets["KEY"].strip()
    if not text.startswith("{"):
        root = asked.settings.root if asked.settings else Path()
        try:
            text = (root / Path(text).expanduser()).read_text(encoding="utf-8-sig")
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "no text"
            raise _wrong_key(asked, f"names a file that cannot be read: {reason.lower()}") from None
    try:
        key = json.loads(text)
    except ValueError:
        raise _wrong_key(asked, "is no JSON") from None
    kind = key.get("type") if isinstance(key, dict) else None
    if kind != "service_account":
        raise _wrong_key(
            asked, f"is {f'of type {kind}' if isinstance(kind, str) else 'no key'}, not a service account's"
        )
    if missing := [name for name in _KEY_FIELDS if not is_word(key.get(name))]:
        raise _wrong_key(asked, f"has no {', '.join(missing)}")
    return {name: value for name, value in key.items() if isinstance(value, str)}


def _parts(private_key: str) -> tuple[str, ...]:
    """Return a private key and each of its lines, as texts to strike: somebody may join them in another way."""
    return (private_key, *(line for line in private_key.split() if len(line) >= _LINE))


def _wrong_key(asked: Asked, what: str) -> AuthError:
    name = setting(asked.source, "KEY")
    fix = f"write into {name} where the JSON key of the service account lies: IAM, Service Accounts, Keys, Add key"
    return AuthError(f"{name} {what}", where=_source(asked), fix=fix)


def _source(asked: Asked) -> str:
    return f"source {asked.source.name}"


# -- calls


class _MissingError(ContractError):
    """The server knows no such table, dataset or project."""


@contextmanager
def _api(asked: Asked, shared: _Shared, counted: Callable[[], None]) -> Iterator[_Api]:
    """Give the API for the length of a with-block.

    Raises:
        AuthError: the key cannot be used.
        ContractError: nothing says which project is meant.
    """
    from google.api_core.client_options import ClientOptions
    from google.cloud import bigquery
    from google.oauth2 import service_account

    key = _key(asked)
    project = asked.options["project"] or key.get("project_id")
    if not project:
        raise ContractError("no project, and the key names none", where=_source(asked), fix="write `project`")
    if shared.credentials is None:
        try:
            made = service_account.Credentials.from_service_account_info(key, scopes=[_SCOPE])  # type: ignore[no-untyped-call]
        except ValueError:  # its words may hold a part of the key
            raise _wrong_key(asked, "has a private key that cannot be read") from None
        shared.credentials = made
    options = ClientOptions(api_endpoint=asked.options["url"].rstrip("/"))
    with closing(bigquery.Client(project, shared.credentials, client_options=options)) as client:
        yield _Api(asked, client, shared, counted, key["client_email"], _parts(key["private_key"]))


@dataclass
class _Api:
    """The calls of one fetch; each is tried by the stage's patience, never by the client's own."""

    asked: Asked
    client: Client
    shared: _Shared
    counted: Callable[[], None]
    email: str  # of the service account
    secrets: tuple[str, ...] = field(repr=False)

    def day(self, dataset: str, day: date) -> Table | None:
        """Return the table of a day; None where Google made none, for there was no event.

        Raises:
            NotYetError: there is none yet.
            AccountError: there is no such dataset.
        """
        name = f"events_{day:%Y%m%d}"
        try:
            table = self._table(dataset, name)
        except _MissingError:
            table = None
        if table and table.num_rows is None:
            fix = "let `accounts` name the datasets that Analytics fills"
            raise ContractError(f"{dataset}.{name} is of type {table.table_type}, no table", fix=fix)
        if table:
            return table
        last = self._last_day(dataset)
        landed = any(one.slice == f"{dataset}/{day}" for one in self.asked.landed())
        if last and day < last and day + _CLOSED < self.asked.now.date() and not landed:
            return None
        newest = f"the newest is events_{last:%Y%m%d}" if last else "no day has one"
        raise NotYetError(f"no table {name} in {dataset}; {newest}")

    def land(self, table: Table, answer: Answer) -> int:
        """Write all rows of a table; return how many.

        Raises:
            TransientError: the table changed meanwhile, or not all rows came.
        """
        try:
            count = self._pages(table, answer)
            after = self._table(table.dataset_id, table.table_id)
        except _MissingError:
            raise self._changed(table, "it is gone") from None
        if count != table.num_rows:
            raise self._changed(table, f"{count:,} rows came of {table.num_rows:,}")
        if after.etag != table.etag:
            raise self._changed(table, "it changed")
        return count

    def _pages(self, table: Table, answer: Answer) -> int:
        as_text, token, count = _record(table.schema), None, 0
        while count < table.num_rows:
            read = partial(self._page, table, token)
            rows, following = read() if token is None else patiently(read, self.asked.seconds_left)
            try:
                with _no_collecting():
                    text = "".join([f"{as_text(row)}\n" for row in rows])
            except (KeyError, TypeError, ValueError):  # a column more or less than the table had
                raise self._changed(table, "its rows are not as its columns say") from None
            answer.write(text.encode())
            count += len(rows)
            del rows, text  # or two pages lie in memory at once
            if not following:
                break
            if following == token:
                raise self._changed(table, "a page came twice")
            token = following
        return count

    def _changed(self, table: Table, what: str) -> TransientError:
        return TransientError(f"{table.dataset_id}.{table.table_id} while it was read: {what}", fix="run again later")

    def _table(self, dataset: str, name: str) -> Table:
        """Return a table as the server knows it."""
        with self._judged(f"{dataset}.{name}"):
            return self.client.get_table(
                self._reference(dataset).table(name), retry=_OWN_RETRY, timeout=self._timeout()
            )

    def _page(self, table: Table, token: str | None) -> tuple[list[Any], str | None]:
        """Return a page of rows as the server wrote them, and the token of the next."""
        size = self.asked.options["page"]
        with _no_collecting(), self._judged(f"{table.dataset_id}.{table.table_id}"):
            found = self.client.list_rows(
                table, page_token=token, page_size=size, retry=_OWN_RETRY, timeout=self._timeout()
            )
            return next(found.pages).raw_page.get("rows", []), found.next_page_token

    def _last_day(self, dataset: str) -> date | None:
        """Return the newest day that has a table.

        Raises:
            AccountError: there is no such dataset.
        """
        if dataset not in self.shared.last_days:
            try:
                with self._judged(dataset):
                    reference = self._reference(dataset)
                    tables = self.client.list_tables(
                        reference, page_size=_LISTED, retry=_OWN_RETRY, timeout=self._timeout()
                    )
                    found = [one[1] for table in tables if (one := _DAILY.fullmatch(table.table_id))]
            except _MissingError as error:
                raise self._no_dataset(dataset, error.what) from None
            days = [datetime.strptime(text, "%Y%m%d").date() for text in found]
            if not days:
                return None
            self.shared.last_days[dataset] = max(days)
        return self.shared.last_days[dataset]

    def _no_dataset(self, dataset: str, message: str) -> BoathouseError:
        """Return why a dataset is not there: a wrong project stops the source, a wrong dataset no other."""
        project = self.client.project
        fix = "correct `accounts` or `project`; Analytics makes the dataset once the property is linked to BigQuery"
        known: list[str] = []
        try:
            with self._judged(project):
                datasets = self.client.list_datasets(retry=_OWN_RETRY, timeout=self._timeout())
                known = sorted(one.dataset_id for one in datasets)
        except _MissingError:
            return ContractError(f"no project {project}: {message}", where=_source(self.asked), fix="correct `project`")
        except BoathouseError:  # it may not list them
            pass
        if known:
            fix += f"; the datasets there are {', '.join(known[:_SHOWN])}{', ...' if len(known) > _SHOWN else ''}"
        return AccountError(f"no dataset {dataset} in project {project}: {message}", where=_source(self.asked), fix=fix)

    def _reference(self, dataset: str) -> Any:
        from google.cloud.bigquery import DatasetReference

        return DatasetReference(self.client.project, dataset)

    def _timeout(self) -> float:
        return max(0.1, min(seconds(self.asked.options["timeout"]) or 0.0, self.asked.seconds_left()))

    @contextmanager
    def _judged(self, where: str) -> Iterator[None]:
        """Turn whatever a call of the client raises into an error of ours."""
        import requests
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError

        self.counted()
        try:
            yield
        except GoogleAPICallError as error:
            raise self._judgement(error, where) from None
        except (TransportError, requests.RequestException) as error:
            what = f"{self._host()} does not answer: {self._struck(reason_of(error))}"
            raise TransientError(what, where=where, fix="run again later") from None
        except GoogleAuthError as error:
            what = self._struck(str(error.args[0]) if error.args else type(error).__name__)
            if isinstance(error, RefreshError) and error.retryable:
                raise TransientError(f"no token: {what}", where=where, fix="run again later") from None
            raise self._refused(f"{what}; this machine's clock has to be right, too", where) from None
        except _OF_THE_CLIENT as error:
            what = f"{self._host()} answers what is none of BigQuery's: {type(error).__name__}"
            raise TransientError(what, where=where, fix="run again later; is there a proxy between?") from None

    def _judgement(self, error: GoogleAPICallError, where: str) -> BoathouseError:
        """Return what an answer that is an error means, by its status and reason."""
        status = error.code or 0
        reasons = {one.get("reason") for one in error.errors if isinstance(one, Mapping)}
        what = f"HTTP {int(status)}: {self._message(error)}"
        if status in (408, 429) or status >= 500 or (status == 403 and reasons & _BUSY):
            pause = retry_after(error.response) if error.response is not None else None
            if pause is not None:
                return BusyError(what, seconds=pause, where=where, fix="run again later")
            return TransientError(what, where=where, fix="run again later")
        if status == 403 and "accessDenied" in reasons:
            fix = f"give {self.email} the role BigQuery Data Viewer of the dataset, or remove it from `accounts`"
            return AccountError(f"{self.email} may not read it: {what}", where=where, fix=fix)
        if status in (401, 403):
            return self._refused(what, where)
        unknown = _MissingError if status == 404 else ContractError
        return unknown(what, where=where, fix="correct `accounts` or `project`")

    def _refused(self, what: str, where: str) -> AuthError:
        name = setting(self.asked.source, "KEY")
        fix = f"correct {name} in .env: is the key deleted or disabled, has its account the rights?"
        return AuthError(f"{name} was refused: {what}", where=where, fix=fix)

    def _message(self, error: GoogleAPICallError) -> str:
        """Return the server's own words; the client puts the method and the address before them."""
        found = next((one["message"] for one in error.errors if isinstance(one, Mapping) and "message" in one), "")
        return self._struck(str(found or error.message))

    def _struck(self, text: str) -> str:
        """Return words of the server in one line, without the key and the token."""
        token = self.shared.credentials.token if self.shared.credentials else None
        return " ".join(struck(text, [*self.secrets, *([token] if token else [])]).split())[:_LONGEST]

    def _host(self) -> str:
        return urlsplit(str(self.asked.options["url"])).netloc


# -- rows


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Let the collector of cycles rest: the many objects of a page make none, and it took two thirds of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _record(fields: Sequence[SchemaField]) -> Callable[[Any], str]:
    """Return how a record of these fields becomes JSON text: a function of the server's `{"f": [{"v": ...}]}`."""
    parts = [(f"{', ' if nth else ''}{quoted(one.name)}: ", _value(one)) for nth, one in enumerate(fields)]

    def text(record: Any) -> str:
        cells = record["f"]
        return (
            "{" + "".join([name + as_text(cell["v"]) for (name, as_text), cell in zip(parts, cells, strict=True)]) + "}"
        )

    return text


def _value(field: SchemaField) -> Callable[[Any], str]:
    """Return how a value of a field becomes JSON text; null stays null, and a list is never null."""
    single = _single(field)
    if field.mode == "REPEATED":
        return lambda values: "[" + ", ".join([single(one["v"]) for one in values or ()]) + "]"
    return lambda value: "null" if value is None else single(value)


def _single(field: SchemaField) -> Callable[[Any], str]:
    kind = field.field_type.upper()
    if kind in _RECORDS:
        return _record(field.fields)
    if kind in _NUMERIC:
        return lambda text: text if _NUMBER.fullmatch(text) else quoted(text)  # NaN and Infinity are no numbers in JSON
    if kind in ("BOOLEAN", "BOOL"):
        return lambda text: "true" if text.lower() == "true" else "false"
    if kind == "TIMESTAMP":
        return lambda text: quoted(_moment(text))
    return quoted


def _moment(text: str) -> str:
    """Return a moment, which comes in microseconds since 1970, as it is written: 2026-11-09T00:00:00.123456Z."""
    if not _WHOLE.fullmatch(text):
        return text
    moment = datetime(1970, 1, 1) + timedelta(microseconds=int(text))
    return f"{moment.isoformat(timespec='microseconds')}Z"
