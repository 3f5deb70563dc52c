"""An error of Meta's is judged by its code and subcode: nearly all of them come with status 400.

Only what no code tells is told by the status. What the codes mean stands in docs/meta.md, with what is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.errors import AuthError, BoathouseError, ContractError, TransientError
from src.landing.connector import AccountError

_LONGEST = 300  # characters of a message that are shown
_TOO_LARGE = {(100, 1504018), (2, 1504038)}  # a time-out: Meta asks for a smaller range, or a report run
_TOO_LARGE_BY_MESSAGE = (1, "reduce the amount of data")
_NO_QUESTION = {(2, 1504041), (2, 1504042)}  # of breakdowns and custom metrics: here a 2 does not pass
_NO_SUCH_ACCOUNT = (100, 33)
_LIMITS = {4, 17, 32, 341, 613, *range(80000, 80015)}
_LIMITS_OF_THE_APP = {4, 341}
_PASSING = {1, 2, -2}
_TOKEN = {102, 190}
_PERMISSION = {10, *range(200, 300)}
_NO_CAPABILITY, _VERSION_GONE, _TOO_LONG_AGO = 3, 2635, 3018
_WHY_REFUSED = {
    458: "the person it belongs to removed the app",
    460: "the password of the person it belongs to was changed",
    463: "it has expired",
    467: "it was withdrawn, or is none",
}


class TooLargeError(TransientError):
    """The question takes Meta too long for one answer."""


class LimitError(TransientError):
    """A limit was hit: of the app, or of the account."""

    def __init__(self, what: str, *, of_the_app: bool) -> None:
        super().__init__(what, fix="run again later")
        self.of_the_app = of_the_app


def judged(error: Mapping[str, Any], status: int, account: str, setting: str) -> BoathouseError:
    """Return what an error of Meta's is here; `setting` names the token in .env."""
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    text = _text(error, code, subcode)
    if (code, subcode) in _TOO_LARGE or (code == _TOO_LARGE_BY_MESSAGE[0] and _TOO_LARGE_BY_MESSAGE[1] in text.lower()):
        return TooLargeError(text, fix="write `asynchronous: auto`, or ask for fewer fields or breakdowns")
    if (code, subcode) in _NO_QUESTION:
        return ContractError(text, fix="correct `fields` and `breakdowns`: they do not go together")
    if code in _LIMITS:
        return LimitError(text, of_the_app=code in _LIMITS_OF_THE_APP)
    if code in _TOKEN:
        why = _WHY_REFUSED.get(subcode or 0, "Meta takes it no more")
        fix = f"set {setting} in .env to a new one, best of a system user: that one does not expire"
        return AuthError(f"the token was refused, {why}: {text}", fix=fix)
    if code in _PERMISSION:
        fix = "let the account's owner assign it to the token's user, with ads_read; or remove it from `accounts`"
        return AccountError(f"the token may not read {account}: {text}", fix=fix)
    if (code, subcode) == _NO_SUCH_ACCOUNT:
        fix = "correct it in `accounts`, or let its owner assign it to the token's user"
        return AccountError(f"there is no {account}, or the token may not see it: {text}", fix=fix)
    if status == 429:
        return LimitError(text, of_the_app=True)
    if code in _PASSING or error.get("is_transient") is True or status >= 500:
        return TransientError(text, fix="run again later")
    if code == _NO_CAPABILITY:
        return AuthError(f"the app may not do it: {text}", fix="give the app the Marketing API, in its dashboard")
    if code == _VERSION_GONE:
        return ContractError(text, fix="write a newer `version` and its `versionEnds`, after Meta's changelog")
    if code == _TOO_LONG_AGO:
        return ContractError(text, fix="start at a later day: Meta keeps 37 months")
    fix = "correct `fields`, `breakdowns`, `attribution` or `version`: the message says which"
    return ContractError(text, fix=fix)


def _text(error: Mapping[str, Any], code: int | None, subcode: int | None) -> str:
    """Return the error in one line: its code, what it says, and the number by which Meta's support finds it."""
    number = f"{code}/{subcode}" if subcode is not None else str(code)
    texts = [error.get(name) for name in ("message", "error_user_title", "error_user_msg")]
    message = " ".join(" ".join(map(str, filter(None, texts))).split()) or "no message"
    trace = f" [fbtrace_id {error['fbtrace_id']}]" if error.get("fbtrace_id") else ""
    return f"error {number}: {message[:_LONGEST]}{trace}"


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float | str) and str(value).lstrip("-").isdigit() else None
