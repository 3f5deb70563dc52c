"""Work that takes a while for a browser that may leave, and files sent a part at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from src.page.asking import FORMATS, Job, Taken

_LOOK = 0.25  # seconds between two looks whether the browser is still there
T = TypeVar("T")


async def while_connected(request: Request, job: Job, work: Callable[[], T]) -> T:
    """Return what work returns; whoever leaves the screen meanwhile ends its job."""
    task = asyncio.ensure_future(run_in_threadpool(work))
    while not task.done():
        await asyncio.wait({task}, timeout=_LOOK)
        if not task.done() and await request.is_disconnected():
            job.stop()
    return await task


def sent(taken: Taken, form: str, name: str) -> Response:
    """Return the answer that sends a file, a part at a time."""
    headers = {"content-disposition": f'attachment; filename="{name}.{form}"', "content-length": str(taken.size)}
    return StreamingResponse(taken.chunks(), media_type=FORMATS[form], headers=headers)
