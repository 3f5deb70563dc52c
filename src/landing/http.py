"""One call over HTTP: credentials go to the host of the contract and to no other, and an answer is judged once.

What cannot be told from the status alone is told by rules of the contract. Nothing of a URL is ever shown but its
host and path: what follows may hold a credential.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from src.errors import AuthError, BoathouseError, ContractError, TransientError
from src.landing import json_text
from src.landing.connector import BusyError, NotYetError

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

_LONGEST = 300  # characters of an answer that are shown
_REDIRECTS = 5
_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 16
_JUDGED = 1 << 20  # bytes of an answer that is an error
_PASSING = {408, 425, 429}
_REFUSED = {401, 403, 407}
_PAUSE = 30.0  # seconds after 429 without Retry-After
_turns: dict[str, float] = {}  # by source: when it may be called next, by the monotonic clock


class EmptyError(Exception):
    """The source says that there is nothing: an answer of no rows, and no failure."""


@dataclass(frozen=True)
class Rule:
    """One meaning of an answer: of this status, with this text, or with one of these values at a path of its JSON."""

    meaning: str  # one of MEANINGS
    status: tuple[int, ...] = ()
    text: str = ""
    path: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    def fits(self, status: int, body: str) -> bool:
        """Return whether the rule is about an answer; without a status it is about errors alone."""
        is_asked_about = status in self.status if self.status else status >= 400
        if not is_asked_about:
            return False
        if self.text and self.text.lower() not in body.lower():
            return False
        return not self.path or self._value(body) in self.values

    def _value(self, body: str) -> str | None:
        try:
            found = json_text.value(body, self.path)
        except ContractError:
            return None
        return None if found is None else str(found)


MEANINGS: Mapping[str, type[Exception]] = {
    "transient": TransientError,
    "auth": AuthError,
    "contract": ContractError,
    "not_yet": NotYetError,
    "empty": EmptyError,
}


@dataclass
class Client:
    """Calls one host with its credentials. `every`: seconds from one call of a source to the next at least."""

    source: str
    authorize: Callable[[PreparedRequest], PreparedRequest]
    rules: Sequence[Rule]
    seconds_left: Callable[[], float]
    timeout: float
    every: float = 0.0
    asked_to: str = ""  # what a person changes where the credential is refused
    counted: Callable[[], None] = lambda: None
    missing: type[BoathouseError] = ContractError  # what a 404 means without a rule
    judge: Callable[[Response, str], Exception | None] = lambda response, body: None  # an error that no rule is about
    _session: Session | None = field(default=None, init=False)

    @contextmanager
    def call(self, method: str, url: str, **more: Any) -> Iterator[Response]:
        """Give the answer of one call, its body not yet read.

        Raises:
            BoathouseError: the answer is an error, as one of MEANINGS; or none came.
        """
        import requests

        self._session = self._session or requests.Session()
        try:
            with self._answered(method, url, more) as response:
                self._judge(response)
                yield response
        except requests.exceptions.InvalidURL as error:
            raise ContractError(f"no URL: {_shown(url)}", fix="correct `url`") from error
        except requests.RequestException as error:
            what = f"{_shown(url)} does not answer: {reason_of(error)}"
            raise TransientError(what, fix="run again later") from error

    def close(self) -> None:
        """Hang up."""
        if self._session:
            self._session.close()

    def body(self, response: Response) -> bytes:
        """Return the whole body of an answer."""
        return b"".join(self.blocks(response))

    def blocks(self, response: Response) -> Iterator[bytes]:
        """Yield the body of an answer as it comes, unpacked as HTTP packed it.

        Raises:
            TransientError: the budget is over, or the body ended too early.
        """
        for block in response.iter_content(_BLOCK):
            if self.seconds_left() <= 0:
                raise TransientError("the answer is longer than the budget", fix="give the source a longer `budget`")
            yield block

    def _answered(self, method: str, url: str, more: Mapping[str, Any]) -> Response:
        """Return the answer of one call, after the redirects that it came by; another host gets no credential."""
        import requests

        assert self._session
        host, sent = urlsplit(url)[:2], method
        for _ in range(_REDIRECTS):
            self._wait()
            known = urlsplit(url)[:2] == host
            request = requests.Request(sent, url, auth=self.authorize if known else _nobody, **(more if known else {}))
            left = min(self.timeout, max(0.1, self.seconds_left()))
            settings = self._session.merge_environment_settings(url, {}, True, None, None)
            prepared = self._session.prepare_request(request)
            response = self._session.send(prepared, timeout=left, allow_redirects=False, **settings)
            self.counted()
            if not response.is_redirect:
                return response
            url, more = urljoin(url, response.headers["Location"]), {}
            sent = sent if response.status_code in (307, 308) else "GET"
            response.close()
        raise ContractError(f"{_shown(url)} leads elsewhere {_REDIRECTS} times", fix="write where it leads as `url`")

    def _wait(self) -> None:
        """Keep to the rate of the contract."""
        if not self.every:
            return
        pause = _turns.get(self.source, 0.0) - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        _turns[self.source] = time.monotonic() + self.every

    def _judge(self, response: Response) -> None:
        status = response.status_code
        if status < 400 and not any(status in rule.status for rule in self.rules):
            return
        body = (
            _begin(response).decode("utf-8", "replace")
            if status >= 400
            else response.content.decode("utf-8", "replace")
        )
        rule = next((rule for rule in self.rules if rule.fits(status, body)), None)
        if rule is None and status < 400:
            return
        if rule is None and (found := self.judge(response, body)):
            raise found
        kind = MEANINGS[rule.meaning] if rule else self._meaning(status)
        raise self._error(kind, response, f"HTTP {status}: {' '.join(body.split())[:_LONGEST] or response.reason}")

    def _meaning(self, status: int) -> type[Exception]:
        if status in _REFUSED:
            return AuthError
        if status in _PASSING or status >= 500:
            return TransientError
        return self.missing if status == 404 else ContractError

    def _error(self, kind: type[Exception], response: Response, what: str) -> Exception:
        where = _shown(response.url)
        if kind is AuthError:
            return AuthError(f"the credential was refused: {what}", where=where, fix=f"correct {self.asked_to} in .env")
        if kind is TransientError:
            pause = retry_after(response)
            if pause is None and response.status_code == 429:
                pause = _PAUSE
            if pause is not None:
                return BusyError(what, seconds=pause, where=where, fix="run again later")
            return TransientError(what, where=where, fix="run again later")
        if kind is ContractError:
            return ContractError(
                what, where=where, fix="correct what the contract asks for; `errors` may tell them apart"
            )
        return NotYetError(what, where=where) if kind is NotYetError else EmptyError(what)


def unpacked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the blocks of a body, unpacked if they are those of a gzip file.

    Raises:
        TransientError: the file is damaged, or not whole.
    """
    first = next(blocks, b"")
    if first[:2] != _GZIP:
        yield first
        yield from blocks
        return
    unpack = zlib.decompressobj(wbits=31)
    try:
        for block in chain([first], blocks):
            while block:
                if unpack.eof:  # one gzip file may be followed by another
                    unpack = zlib.decompressobj(wbits=31)
                yield unpack.decompress(block)
                block = unpack.unused_data
    except zlib.error as error:
        raise TransientError(f"the body is a damaged gzip file: {error}", fix="run again later") from error
    if not unpack.eof:
        raise TransientError("the body ended too early", fix="run again later")


def _begin(response: Response) -> bytes:
    """Return the begin of a body, that of an error: enough to judge it by."""
    found = b""
    for block in response.iter_content(_BLOCK):
        found += block
        if len(found) >= _JUDGED:
            break
    return found


def _nobody(request: PreparedRequest) -> PreparedRequest:
    """Return a request as it is: without it, requests would look for a credential in .netrc."""
    return request


def retry_after(response: Response) -> float | None:
    """Return the seconds that an answer asks to wait, whether it names them or a moment; None where it does not."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()) if text else None
    except (ValueError, TypeError):
        return None


def _shown(url: str) -> str:
    """Return the host and path of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def reason_of(error: Exception) -> str:
    """Return why no answer came, without the URL that libraries write into their errors."""
    cause: BaseException = error
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    reason = getattr(cause, "strerror", None) or str(cause)
    return f"{type(error).__name__}: {reason}"[:_LONGEST]
