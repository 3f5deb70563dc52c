"""Meta tells with each answer how much of its limits is used, in percent of an hour: who heeds it is seldom refused.

From 90 % on nothing is asked for five minutes: of the account, or of any where it is the app's limit. Once a limit is
hit, for as long as Meta says. What is longer than the budget is left to the next run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.landing.connector import BusyError
from src.landing.http import retry_after
from src.landing.meta_errors import LimitError

if TYPE_CHECKING:
    from requests import Response

_CLOSE = 90.0  # percent
_PAUSE = 300.0  # seconds: of a rolling hour, a twelfth
_SHARES = ("call_count", "total_cputime", "total_time")


@dataclass
class _Limit:
    """One limit: until when nothing is asked that counts for it, by the monotonic clock, and why."""

    until: float = 0.0
    why: str = ""


_known: dict[tuple[str, str], _Limit] = {}  # by source and account; of the app: the account ''


class Limits:
    """The limits that the calls for one account count for: its own, and the app's; `source`: whose token and app."""

    def __init__(self, source: str, account: str) -> None:
        self.account = account
        self.own = _known.setdefault((source, account), _Limit())
        self.of_the_app = _known.setdefault((source, ""), _Limit())

    def check(self) -> None:
        """Refuse to ask while the account or the app is left alone.

        Raises:
            BusyError: for so many seconds.
        """
        for limit in (self.own, self.of_the_app):
            if (left := limit.until - time.monotonic()) > 0:
                raise BusyError(limit.why, seconds=left, fix="run again later")

    def heed(self, response: Response) -> None:
        """Leave the account or the app alone, if an answer tells that a limit of it is nearly used up."""
        throttle = _header(response, "x-fb-ads-insights-throttle")
        of_account = _header(response, "x-ad-account-usage")
        cases = [_share(each) for each in _cases(response) if each.get("type", "ads_insights") == "ads_insights"]
        own = max([*cases, _amount(throttle.get("acc_id_util_pct")), _amount(of_account.get("acc_id_util_pct"))])
        app = max(_amount(throttle.get("app_id_util_pct")), _share(_header(response, "x-app-usage")))
        for limit, name, used in ((self.own, self.account, own), (self.of_the_app, "the app", app)):
            limit.until = time.monotonic() + _PAUSE if used >= _CLOSE else 0.0
            limit.why = f"{name} has used {used:.0f} % of what Meta allows in an hour"

    def hit(self, error: LimitError, response: Response | None) -> BusyError:
        """Leave the account or the app alone for as long as Meta says; return that as the error it is."""
        limit = self.of_the_app if error.of_the_app else self.own
        seconds = (_regained(response) or retry_after(response) if response is not None else None) or _PAUSE
        limit.until, limit.why = time.monotonic() + seconds, error.what
        return BusyError(error.what, seconds=seconds, fix=error.fix)


def _regained(response: Response) -> float:
    """Return the seconds until an account may be asked again; 0 where an answer does not say."""
    return 60 * max([0.0, *(_amount(each.get("estimated_time_to_regain_access")) for each in _cases(response))])


def _cases(response: Response) -> list[Mapping[str, Any]]:
    """Return the usage of each business use case that an answer tells of."""
    lists = _header(response, "x-business-use-case-usage").values()
    return [each for one in lists if isinstance(one, list) for each in one if isinstance(each, dict)]


def _header(response: Response, name: str) -> dict[str, Any]:
    """Return the JSON object in a header; an empty one where there is none that can be read."""
    try:
        found = json.loads(response.headers.get(name, ""))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _share(usage: Mapping[str, Any]) -> float:
    return max(_amount(usage.get(name)) for name in _SHARES)


def _amount(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
