"""Send a page as HTML or, under `.json`, as the same values in JSON."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from agegender.errors import AgeGenderError
from agegender.workbench.server.bench import Bench, NotFound, bench_of
from caffe.errors import CaffeError
from caffe.utils.cli.commands import version
from caffe.utils.cli.progress import clock_text
from caffe.utils.cli.safe_text import printable

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STATIC, TEMPLATES = os.path.join(_HERE, "static"), os.path.join(_HERE, "templates")
MAX_FIELDS = 200


@dataclasses.dataclass
class Page:
    """A page: template and values. The values are the JSON; the template shows them."""

    template: str
    values: dict[str, Any]
    status: int = 200


@dataclasses.dataclass
class Moved:
    """A change was made; the answer is at another address."""

    address: str
    values: dict[str, Any] = dataclasses.field(default_factory=dict)


View = Callable[..., Any]


@functools.cache
def environment() -> jinja2.Environment:
    """Return the Jinja environment, which escapes every value."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    env.filters.update(clock=clock_text, bytes=in_bytes, percent=percent, when=when, plain=_plain, sig=significant)
    env.globals.update(version=version())
    return env


def in_bytes(count: float) -> str:
    """Return a size as text."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def _plain(value: Any) -> str:
    """Return a value as text without control characters."""
    return printable(str(value))


def percent(value: float | None) -> str:
    """Return a fraction as percent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def significant(value: float | None) -> str:
    """Return a number with four digits."""
    return "–" if value is None else f"{value:.4g}"


def when(seconds: float) -> str:
    """Return a time as text."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def endpoint(view: View) -> Callable[[Request], Any]:
    """Return the Starlette endpoint of a view (bench, request[, form]) -> Page, Moved or Response."""

    @functools.wraps(view)
    async def answer(request: Request) -> Response:
        bench = bench_of(request)
        if request.method == "POST":
            async with request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=1 << 20) as form:
                values = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            return send(request, await run_in_threadpool(view, bench, request, values))
        return send(request, await run_in_threadpool(view, bench, request))

    return answer


def failure(error: CaffeError) -> Page:
    """Return the page of an error that the user can fix."""
    status = 404 if isinstance(error, NotFound) else 400
    return Page(
        "error.html", {"error": printable(str(error)), "title": "Not found" if status == 404 else "Error"}, status
    )


def wants_json(request: Request) -> bool:
    """Return whether the answer is JSON: by the address, or by the Accept header of a change."""
    return request.url.path.endswith(".json") or request.headers.get("accept", "").startswith("application/json")


def send(request: Request, result: Any) -> Response:
    """Return the response of a view's result."""
    if isinstance(result, Response):
        return result
    if isinstance(result, Moved):
        if wants_json(request):
            return as_json({"address": result.address, **result.values})
        return RedirectResponse(result.address, 303)
    assert isinstance(result, Page)
    if wants_json(request):
        return as_json(result.values, result.status)
    return HTMLResponse(render(request, result), result.status)


def render(request: Request, page: Page) -> str:
    """Return a page as HTML."""
    bench: Bench = bench_of(request)
    template = environment().get_template(page.template)
    values = {
        "read_only": bench.settings.read_only,
        "path": request.url.path,
        "query": request.url.query,
        **page.values,
    }
    return template.render(values)


def as_json(values: Any, status: int = 200) -> Response:
    """Return a JSON response; numbers that are not finite become null."""
    return Response(dumps(values), status, media_type="application/json")


def dumps(values: Any) -> str:
    """Return values as JSON that is valid everywhere."""
    return json.dumps(_finite(values), ensure_ascii=True, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def picture(data: bytes, kind: str = "image/jpeg", seconds: int = 3600) -> Response:
    """Return an image, which the browser may keep."""
    return Response(data, media_type=kind, headers={"cache-control": f"private, max-age={seconds}"})


def refuse(text: str) -> AgeGenderError:
    """Return an error for the user."""
    return AgeGenderError(text)
