"""Work that takes a while for a browser that may leave, and files sent a part at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from src.page.asking import FORMATS, Job, Taken

_LOOK = 0.25  # seconds between two looks whether the browser is still there
T = TypeVar("T")


async def while_connected(request: Request, job: Job, work: Callable[[], T]) -> T:
    """Return what work returns; whoever leaves the screen meanwhile ends its job."""
    task = _begun(work)
    while not task.done():
        await asyncio.wait({task}, timeout=_LOOK)
        if not task.done() and await request.is_disconnected():
            job.stop()
    return await task


def sent(taken: Taken, form: str, name: str) -> Response:
    """Return the answer that sends a file, a part at a time."""
    headers = {"content-disposition": f'attachment; filename="{name}.{form}"', "content-length": str(taken.size)}
    return StreamingResponse(taken.chunks(), media_type=FORMATS[form], headers=headers)


def _begun(work: Callable[[], T]) -> asyncio.Future[T]:
    """Start work in a thread of its own, so that the threads which answer the other screens stay free."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # without an error there is one

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:
            error = raised  # whoever awaits it has it raised there
        with suppress(RuntimeError):  # the page was ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True).start()
    return future
