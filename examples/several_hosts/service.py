"""A FastAPI service that starts runs and shows their progress; workers send the rows.

Protect it with your own authentication. Install publitrac_async[docket] and fastapi, set the variables of
common.py and LEADS_FOLDER, a folder that is at the same path for all workers, then run `uvicorn service:app`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from common import SOURCES, client, shared_redis
from fastapi import Depends, FastAPI, HTTPException, Request

from publitrac_async import PublitracClient, PublitracError
from publitrac_async.bulk import (
    DocketExecutor,
    FileSource,
    Monitor,
    NamedSource,
    Progress,
    RedisStateStore,
    read_leads,
    sync_leads,
)
from publitrac_async.shared import SharedRedis


class Runs:
    """One run at a time, in the background."""

    def __init__(self, publitrac: PublitracClient, shared: SharedRedis) -> None:
        self._publitrac = publitrac
        self._shared = shared
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {"phase": "none yet"}

    def start(self, source: FileSource | NamedSource) -> None:
        """Start a run, or join the same run if workers are still sending it."""
        if self._task is not None and not self._task.done():
            raise HTTPException(409, "a run is in progress")
        self.state = {"phase": "starting"}
        self._task = asyncio.create_task(self._run(source))

    async def _run(self, source: FileSource | NamedSource) -> None:
        try:
            report = await sync_leads(
                source,
                self._publitrac.v2,
                state=RedisStateStore(self._shared),
                executor=DocketExecutor(),
                monitor=Monitor(self._note),
            )
        except PublitracError as error:  # The state store is in use, Redis is down, the file is invalid.
            self.state = {"phase": "failed", "error": error.message}
        else:
            self.state = {"phase": "ended", "stopped": report.stopped, "rows": report.counts}

    def _note(self, progress: Progress) -> None:
        self.state = {"phase": progress.phase, "done": progress.done, "of": progress.total}

    async def aclose(self) -> None:
        """Leave the run to the workers, which continue. Starting the same run again joins it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Runs]]:
    """Open one client for the life of the service."""
    async with shared_redis() as shared, client(shared) as publitrac:
        runs = Runs(publitrac, shared)
        yield {"runs": runs}
        await runs.aclose()


def runs_of(request: Request) -> Runs:
    """Return the runs, as a dependency."""
    runs: Runs = request.state.runs
    return runs


app = FastAPI(lifespan=lifespan)
Current = Annotated[Runs, Depends(runs_of)]


@app.post("/runs/{name}", status_code=202)
async def start_from_source(name: str, runs: Current) -> None:
    """Start a run of a source that the workers can open by its name."""
    if name not in SOURCES:
        raise HTTPException(404)
    runs.start(NamedSource(name, SOURCES[name]))


@app.put("/runs", status_code=202)
async def start_from_upload(request: Request, runs: Current) -> None:
    """Start a run of the CSV file in the body. The same file is the same run."""
    runs.start(read_leads(await asyncio.to_thread(store, await request.body())))


def store(content: bytes) -> Path:
    """Write a file for the workers. It gets its name only when it is complete."""
    path = Path(os.environ["LEADS_FOLDER"], f"{hashlib.sha256(content).hexdigest()}.csv")
    part = path.with_suffix(".part")
    part.write_bytes(content)
    return part.replace(path)


@app.get("/runs")
async def progress(runs: Current) -> dict[str, Any]:
    """Return the progress of the run."""
    return runs.state
