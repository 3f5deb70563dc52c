"""A call that fails in passing is tried again: after a growing, random pause, or as long as the source asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from src.errors import TransientError
from src.landing.connector import BusyError, NotYetError

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")
ATTEMPTS = 8  # with their pauses about a minute and a half: an outage that is longer is left to the next run
_FIRST, _LONGEST = 0.5, 60.0  # seconds


class GaveUpError(TransientError):
    """It was tried again as often as was right."""


def patiently(work: Callable[[], T], seconds_left: Callable[[], float], attempts: int = ATTEMPTS) -> T:
    """Return what the work gives; try it again where it fails in passing, as long as the budget lasts.

    Raises:
        GaveUpError: it failed each time, or the source asks for more patience than is left.
    """
    import tenacity

    random = tenacity.wait_random_exponential(multiplier=_FIRST, max=_LONGEST)

    def pause(state: RetryCallState) -> float:
        error = _error(state)
        return error.seconds if isinstance(error, BusyError) else random(state)

    def is_over(state: RetryCallState) -> bool:
        return state.attempt_number >= attempts or state.upcoming_sleep >= seconds_left()

    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_passes), wait=pause, stop=is_over, retry_error_callback=_given_up
    )
    return tries(work)


def within(seconds: float, work: Callable[[], T], abandon: Callable[[], None]) -> T:
    """Return what the work gives, done in a thread of its own; leave it alone where it takes longer.

    A thread cannot be ended, and what hangs in a library hears nothing: it is told by `abandon` that nobody waits for
    it, and ends with the process.

    Raises:
        TransientError: it took longer.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def act() -> None:
        try:
            done.append(work())
        except BaseException as error:  # raised again below, where somebody waits for it
            failed.append(error)

    thread = threading.Thread(target=act, daemon=True, name="pull")
    thread.start()
    thread.join(None if seconds == inf else max(0.0, seconds))
    if thread.is_alive():
        abandon()
        raise GaveUpError("no answer within the budget", fix="see what the source is doing; `budget` gives it longer")
    if failed:
        raise failed[0]
    return done[0]


def _passes(error: BaseException) -> bool:
    """Return whether an error may be gone in a moment: not one that was tried often enough, nor a day to come."""
    if isinstance(error, GaveUpError | NotYetError):
        return False
    return isinstance(error, TransientError | ConnectionError | TimeoutError)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _given_up(state: RetryCallState) -> Any:
    """Raise the last error as one that is tried no more."""
    error = _error(state)
    what = getattr(error, "what", None) or f"{type(error).__name__}: {error}"
    if isinstance(error, BusyError) and state.attempt_number == 1:
        what += f"; asks to be left alone for {error.seconds:.0f} s, more than is left of the budget"
    elif state.attempt_number > 1:
        what += f" ({state.attempt_number} times in {state.seconds_since_start or 0:.0f} s)"
    raise GaveUpError(what, where=getattr(error, "where", None), fix="run again later") from error
