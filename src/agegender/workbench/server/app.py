"""The table of routes, and the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agegender.workbench.server import guard, respond
from agegender.workbench.server.bench import Bench
from agegender.workbench.server.respond import Page, endpoint
from agegender.workbench.server.settings import Settings
from agegender.workbench.server.views import (
    datasets,
    deploy,
    evaluations,
    home,
    models,
    predictions,
    runs,
    training,
)
from caffe.errors import CaffeError
from ncs.profile import styles

ADVANCE_SECONDS = 0.5

PAGES = {  # each also as JSON, with .json at the end
    "/datasets/{id}": datasets.dataset,
    "/runs/{id}/log": runs.log,
    "/runs/{id}": runs.run,
    "/evaluations/{id}/{truth:int}/{predicted:int}": evaluations.cell,
    "/evaluations/{id}": evaluations.show,
    "/jobs/{id}": home.job,
    "/jobs": home.jobs,
    "/models/{id}/{iteration:int}/layers/{layer:int}": models.layer,
    "/models/{id}/{iteration:int}/precision": models.precision,
    "/models/{id}/{iteration:int}": models.snapshot,
    "/models/{id}": models.compiled,
    "/deploy/doctor": deploy.doctor,
    "/deploy": deploy.form,
    "/compare": evaluations.compare,
    "/new-dataset": datasets.new,
    "/train": training.form,
    "/predict": predictions.form,
}
FILES = {
    "/models/{id}/file/{kind}": models.download,
    "/models/{id}/bundle.tar": models.bundle,
    "/models/{id}/{iteration:int}/archive.tar": models.archive,
    "/datasets/{id}/image/{key}": datasets.image,
    "/datasets/{id}/mean": datasets.mean,
    "/datasets/{id}/example": datasets.example,
}
CHANGES = {
    "/models/{id}/bundle": models.make_bundle,
    "/deploy": deploy.compile,
    "/datasets/{id}/index": datasets.make_index,
    "/new-dataset": datasets.create,
    "/train/check": training.check,
    "/train": training.start,
    "/runs/{id}/stop": runs.stop,
    "/runs/{id}/resume": runs.resume,
    "/runs/{id}/evaluate": runs.evaluate,
    "/jobs/{id}/stop": home.stop,
    "/jobs/{id}/remove": home.remove,
    "/jobs/{id}/again": home.again,
}


def routes() -> list[Any]:
    """Return all routes; what has a longer path comes first."""
    table: list[Any] = [
        Route("/", endpoint(home.home)),
        Route("/index.json", endpoint(home.home)),
        Route("/styles.css", _styles),
        Route("/runs/{id}/events", runs.events),
        Route("/runs/{id}/state.json", endpoint(runs.status)),
        Route("/predict", predictions.predict, methods=["POST"]),
        Route("/archives", models.upload, methods=["POST"]),
        Route("/predict/explain", predictions.explain, methods=["POST"]),
        Mount("/static", StaticFiles(directory=respond.STATIC)),
    ]
    table += [Route(path, endpoint(view), methods=["POST"]) for path, view in CHANGES.items()]
    table += [Route(path, endpoint(view)) for path, view in FILES.items()]
    for path, view in PAGES.items():
        table += [Route(path + ".json", endpoint(view)), Route(path, endpoint(view))]
    return table


def create_app(settings: Settings) -> Any:
    """Return the ASGI application of a workbench."""
    bench = Bench(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(_advance(bench))
        try:
            yield
        finally:
            task.cancel()
            await bench.followers.close()
            bench.close()

    handlers: dict[Any, Any] = {
        HTTPException: _http_error,
        CaffeError: _error,
        guard.BodyTooLarge: _too_large,
        asyncio.TimeoutError: _too_slow,
        ClientDisconnect: _gone,
    }
    app = Starlette(routes=routes(), lifespan=lifespan, exception_handlers=handlers)
    app.state.bench = bench
    return guard.Guard(app, settings)


async def _advance(bench: Bench) -> None:
    """Start waiting jobs, as long as the server runs."""
    while True:
        if not bench.settings.read_only and os.path.isdir(bench.queue.folder):
            with contextlib.suppress(OSError):
                await asyncio.to_thread(bench.queue.advance)
        await asyncio.sleep(ADVANCE_SECONDS)


def _styles(request: Request) -> Response:
    return FileResponse(styles.PATH, media_type="text/css")


def _http_error(request: Request, error: HTTPException) -> Response:
    if request.method not in guard.SAFE_METHODS or error.status_code not in (404, 405):
        return Response(f"{error.detail}\n", error.status_code, media_type="text/plain")
    values = {"error": "there is no such page", "title": "Not found"}
    return respond.send(request, Page("error.html", values, error.status_code))


def _error(request: Request, error: CaffeError) -> Response:
    return respond.send(request, respond.failure(error))


def _too_large(request: Request, error: Exception) -> Response:
    return Response("the body is too large\n", 413, media_type="text/plain")


def _gone(request: Request, error: Exception) -> Response:
    return Response("", 400)  # nobody reads it


def _too_slow(request: Request, error: Exception) -> Response:
    return Response("the body was sent too slowly\n", 408, media_type="text/plain")
