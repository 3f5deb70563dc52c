"""BigQuery on 127.0.0.1 as far as the export of GA4 needs it: tokens for a service account's key, tables, their rows.

Rows are those of the wire: `{"f": [{"v": "text"}]}`, all values text. The key is a real one, made once, whose tokens
come from the server; a request without the newest token is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from fake_api import Reply, Request, api

Fields = Sequence[Mapping[str, Any]]
TOKEN = "ya29.fake-token"
AUDIENCE = "https://oauth2.googleapis.com/token"  # of what a key signs, wherever it is sent


def column(name: str, kind: str = "STRING", mode: str = "NULLABLE", fields: Fields = ()) -> dict[str, Any]:
    """One column of a schema."""
    return {"name": name, "type": kind, "mode": mode, **({"fields": list(fields)} if fields else {})}


VALUE = [
    column("string_value"),
    column("int_value", "INTEGER"),
    column("float_value", "FLOAT"),
    column("double_value", "FLOAT"),
]
EVENTS = [
    column("event_date"),
    column("event_timestamp", "INTEGER"),
    column("event_name"),
    column("event_params", "RECORD", "REPEATED", [column("key"), column("value", "RECORD", fields=VALUE)]),
    column("event_value_in_usd", "FLOAT"),
    column("user_id"),
    column("user_pseudo_id"),
    column("platform"),
    column("stream_id"),
    column("is_active_user", "BOOLEAN"),
    column("ecommerce", "RECORD", fields=[column("purchase_revenue_in_usd", "FLOAT"), column("transaction_id")]),
]


def wire(row: Mapping[str, Any], fields: Fields = EVENTS) -> str:
    """A row as BigQuery writes it; a column that the row leaves out is null."""
    return json.dumps(_record(row, fields))


def _record(row: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    return {"f": [{"v": _value(row.get(one["name"]), one)} for one in fields]}


def _value(value: Any, one: Mapping[str, Any]) -> Any:
    if one["mode"] == "REPEATED":
        return [{"v": _value(item, {**one, "mode": "NULLABLE"})} for item in value or ()]
    if value is None:
        return None
    if one["type"] == "RECORD":
        return _record(value, one["fields"])
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class Table:
    """One table: its rows as they stand on the wire, its schema, and the etag of its state."""

    rows: Sequence[str]
    etag: str
    fields: Fields = field(default_factory=lambda: EVENTS)
    told: int | None = None  # numRows, where it is not what there is
    kind: str = "TABLE"


@dataclass
class BigQuery:
    """The server. `faults` are the answers to the next calls, before it answers itself; None: as it would.

    `answered` sees each call before it is answered.
    """

    url: str = ""
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    datasets: list[str] = field(default_factory=lambda: ["analytics_201", "analytics_202"])
    page: int = 1000  # rows at most in one answer
    faults: list[Reply | None] = field(default_factory=list)
    token_fault: Reply | None = None
    asked: list[str] = field(default_factory=list)  # <dataset>.<table>, /data behind it for its rows
    tokens: int = 0  # that were given
    before: Callable[[str], object] = lambda call: None

    def put(self, day: str, *events: Mapping[str, Any], dataset: str = "analytics_201", **more: Any) -> None:
        """Let a day's table hold these events; its etag is another than that of any table before."""
        fields = more.get("fields", EVENTS)
        name = f"events_{day.replace('-', '')}"
        self.states += 1
        self.tables[dataset, name] = Table([wire(one, fields) for one in events], f"etag {self.states}", **more)

    states: int = 0

    @property
    def key(self) -> dict[str, str]:
        """The JSON key of a service account whose tokens come from this server."""
        return {
            "type": "service_account",
            "project_id": "tidewater",
            "client_email": "boathouse@tidewater.iam.gserviceaccount.com",
            "private_key_id": "k1",
            "private_key": key_pair()[0],
            "token_uri": f"{self.url}/token",
        }

    def answer(self, request: Request) -> Reply:
        if request.path == "/token":
            return self.token_fault or self._token(request)
        call = re.sub(r"^/bigquery/v2/projects/\w+/datasets/?", "", request.path).replace("/tables/", ".")
        self.before(call)
        self.asked.append(call)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            return fault
        if not request.path.startswith("/bigquery/v2/projects/tidewater/"):
            return refusal(404, "notFound", "Not found: Project other")
        if request.headers.get("authorization") != f"Bearer {TOKEN}.{self.tokens}":
            return refusal(401, "authError", "Request had invalid authentication credentials.")
        return self._api(call, request)

    def _token(self, request: Request) -> Reply:
        from google.auth import jwt

        [assertion] = parse_qs(request.body)["assertion"]
        claims = jwt.decode(assertion, certs=key_pair()[1], audience=AUDIENCE)  # type: ignore[no-untyped-call]
        assert claims["iss"] == self.key["client_email"]
        self.tokens += 1
        return Reply({"access_token": f"{TOKEN}.{self.tokens}", "expires_in": 3600, "token_type": "Bearer"})

    def _api(self, call: str, request: Request) -> Reply:
        dataset, _, rest = call.partition(".")
        if not call:
            return Reply({"datasets": [{"datasetReference": _reference(one)} for one in self.datasets]})
        if dataset.removesuffix("/tables") not in self.datasets:
            return refusal(404, "notFound", f"Not found: Dataset tidewater:{dataset}")
        if dataset.endswith("/tables"):
            here = [name for owner, name in self.tables if owner == dataset.removesuffix("/tables")]
            return Reply({"tables": [{"tableReference": {**_reference(dataset), "tableId": name}} for name in here]})
        name = rest.removesuffix("/data")
        table = self.tables.get((dataset, name))
        if table is None:
            return refusal(404, "notFound", f"Not found: Table tidewater:{dataset}.{name}")
        return self._rows(table, request) if rest.endswith("/data") else _facts(dataset, name, table)

    def _rows(self, table: Table, request: Request) -> Reply:
        start = int(request.params.get("pageToken", 0))
        end = start + min(self.page, int(request.params.get("maxResults", self.page)))
        following = f', "pageToken": "{end}"' if end < len(table.rows) else ""
        rows = ", ".join(table.rows[start:end])
        return Reply(f'{{"totalRows": "{len(table.rows)}", "rows": [{rows}]{following}}}')


def _reference(dataset: str) -> dict[str, str]:
    return {"projectId": "tidewater", "datasetId": dataset.removesuffix("/tables")}


def _facts(dataset: str, name: str, table: Table) -> Reply:
    rows = len(table.rows) if table.told is None else table.told
    return Reply(
        {
            "etag": table.etag,
            "type": table.kind,
            "tableReference": {**_reference(dataset), "tableId": name},
            "schema": {"fields": list(table.fields)},
            **({"numRows": str(rows)} if table.kind == "TABLE" else {}),
        }
    )


def refusal(status: int, reason: str, message: str, **headers: str) -> Reply:
    """An error as BigQuery says it."""
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    return Reply({"error": error}, status, {name.replace("_", "-"): value for name, value in headers.items()})


@cache
def key_pair() -> tuple[str, bytes]:
    """A private key and its public key, as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode(), public


@contextmanager
def bigquery() -> Iterator[BigQuery]:
    """Serve for the length of a with-block."""
    made = BigQuery()
    with api(made.answer) as server:
        made.url = server.url
        yield made
