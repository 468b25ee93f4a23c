"""In Chromium, from an empty root: a data set, a training that is stopped and resumed, an evaluation, a model, predictions.

The net is AgeNet's form with a net of 32 x 32 pixels and few channels, so that the whole road takes about a minute.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from support import browser
from support import workbench_root as wr

try:
    from playwright.sync_api import Error
except ImportError:  # the tests are skipped, with the reason
    Error = Exception

pytestmark = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())
# the chart has pixels of its own
DRAWN = """(c => c && new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size > 20)
    (document.querySelector('#curves canvas'))"""
SECONDS = 120_000  # in milliseconds; the machine may be busy
NET = wr.NET.replace("num_output: 4", "num_output: 8").replace(" scale: 0.01", "")
SOLVER = wr.SOLVER.replace("base_lr: 0.01", "base_lr: 0.0001").replace("max_iter: 20", "max_iter: 60")
SOLVER = SOLVER.replace("snapshot: 10", "snapshot: 40").replace("test_interval: 10", "test_interval: 40")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(address, root) of a workbench in a process of its own."""
    root = tmp_path_factory.mktemp("empty")
    command = [sys.executable, "-m", "agegender", "workbench", "--root", str(root), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    yield re.search(r"http://\S+", line).group().rstrip("/"), root
    process.terminate()
    process.wait(30)
    process.stdout.close()


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """A video of one synthetic face for the fake camera, in the uncompressed format that Chromium reads."""
    path = tmp_path_factory.mktemp("camera") / "face.y4m"
    image = cv2.resize(wr.draw(25, True, (25, 1)), (320, 240))
    yuv = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    with open(path, "wb") as stream:
        stream.write(b"YUV4MPEG2 W320 H240 F10:1 Ip A1:1 C420\n")
        for _ in range(10):
            stream.write(b"FRAME\n" + yuv.tobytes())
    return str(path)


@pytest.fixture(scope="module")
def page(server, camera):
    faults = []
    with browser.opened(camera, base_url=server[0], viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if _is_fault(message) else None)
        outside = []
        page.on("request", lambda request: outside.append(request.url) if not request.url.startswith(("data:", "blob:", server[0])) else None)  # fmt: skip
        yield page
    assert not faults, faults
    assert not outside, outside


def _is_fault(message):
    """Return whether a message of the console is a fault; an error of the user's form is an answer of status 400."""
    return message.type == "error" and "status of 400" not in message.text


def wait(page, condition):
    """Wait until a condition is true; the page's own policy forbids playwright's way, which evaluates text in it."""
    deadline = time.monotonic() + SECONDS / 1000
    while time.monotonic() < deadline:
        with contextlib.suppress(Error):  # the page is being loaded again
            if page.evaluate(condition):
                return
        time.sleep(0.1)
    raise AssertionError(condition)


def finish_job(page):
    """Wait on a job's page until it has finished, and open its result."""
    page.wait_for_selector(".state.finished, .state.failed")
    assert page.locator(".state.failed").count() == 0, page.locator("pre").first.inner_text()
    page.get_by_role("link", name="Open the result").click()


def test_the_data_set_is_made(page):
    page.goto("/")
    page.get_by_role("link", name="Make the synthetic data set").click()
    page.fill("[name=count]", "60")
    page.fill("[name=size]", "32")
    page.get_by_role("button", name="Make the data set").click()
    finish_job(page)
    thumbs = page.locator("#thumbs img")
    assert thumbs.count() == 60
    assert thumbs.first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
    page.get_by_role("link", name="Next images").click()
    wait(page, "document.querySelectorAll('#thumbs img').length > 60")
    page.get_by_role("button", name="Draw").click()
    page.wait_for_selector("#example-image:not(.hidden)")
    page.get_by_role("button", name="Read the labels").click()
    finish_job(page)
    page.locator(".chips a", has_text="20-29").click()
    captions = page.locator("#thumbs figcaption").all_inner_texts()
    assert captions and set(captions) == {"20-29"}


def test_the_training_is_checked_drawn_watched_stopped_and_resumed(page, server):
    page.goto("/train?preset=AgeNet-quick")
    page.fill("[name=name]", "small")
    page.fill("#net", NET.replace("num_output: 8", "num_outputs: 8"))
    page.fill("#solver", SOLVER)
    page.get_by_role("button", name="Check, draw and estimate").click()
    page.wait_for_selector("#check-error:not(.hidden)")
    assert re.search(r"train_val\.prototxt:\d+:\d+: .*num_outputs", page.inner_text("#check-error"))
    selected = page.evaluate("(a => a.value.slice(a.selectionStart, a.selectionEnd))(document.getElementById('net'))")
    assert "num_outputs" in selected
    page.fill("#net", NET)
    page.get_by_role("button", name="Check, draw and estimate").click()
    page.wait_for_selector("#graph svg")
    assert page.locator("#graph .box").count() >= 5 and page.locator("#schedule canvas").count() == 1
    page.fill("[name=max_iter]", "400000")
    page.get_by_role("button", name="Start the training").click()
    wait(page, "Number(document.getElementById('iteration')?.textContent) >= 10")
    first = int(page.inner_text("#iteration"))
    wait(page, f"Number(document.getElementById('iteration')?.textContent) > {first + 20}")
    wait(page, DRAWN)  # the page may be loading again, after a snapshot
    page.locator(".danger", has_text="Stop").click()
    page.wait_for_selector("#state .state.stopped")
    wait(page, "Number(document.getElementById('iteration')?.textContent) > 0")
    stopped = int(page.inner_text("#iteration"))
    page.fill(".actions [name=max_iter]", str(stopped + 80))
    page.get_by_role("button", name="Resume").click()
    page.wait_for_selector("#state .state.finished")
    wait(page, f"Number(document.getElementById('iteration')?.textContent) === {stopped + 80}")
    page.check("#log-axis")
    page.wait_for_timeout(200)
    assert "best" in page.inner_text("table.full >> nth=0")
    log = (server[1] / "models/small/train.log").read_text()
    assert len(re.findall(r"Iteration 0,? ", log)) <= 3  # resumed, not started again


def test_no_peak_is_lost_in_a_long_curve(page):
    """Against a plain loop: every column keeps its smallest and its largest value."""
    rng = np.random.default_rng(0)
    rows = [[i, float(value)] for i, value in enumerate(rng.normal(size=4000))]
    kept = page.evaluate("([rows, columns]) => Curves.reduce(rows, columns)", [rows, 60])
    assert len(kept) <= 120 and [row[0] for row in kept] == sorted(row[0] for row in kept)
    expected = []
    for column in range(60):
        members = [r for r in rows if min(59, int(r[0] / (3999 / 60))) == column]
        expected += [min(members, key=lambda r: r[1]), max(members, key=lambda r: r[1])]
    assert sorted(kept) == sorted(expected)
    assert page.evaluate("Curves.reduce([[0, 1], [0, 2], [0, 3]], 1).length") == 2  # all at one iteration


def test_the_matrix_opens_its_images(page):
    page.get_by_role("button", name="Evaluate").click()
    finish_job(page)
    cell = page.locator(".matrix td a").first
    count = int(cell.inner_text())
    cell.click()
    page.wait_for_selector("#cell img")
    assert page.locator("#cell img").count() == min(count, 60)
    assert page.locator("#cell img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 32


def test_the_model_is_shown_and_compiled(page, server):
    page.goto("/")
    page.get_by_role("link", name="models/small/train").first.click()
    page.get_by_role("link", name="model", exact=True).first.click()
    page.locator("#graph a").nth(1).click()
    page.wait_for_selector(".layer-pictures img")
    assert page.locator(".layer-pictures img").count() >= 2
    page.goto("/deploy")
    page.fill("[name=name]", "small-age")
    page.check("[name=no_blob]")
    page.get_by_role("button", name="Compile").click()
    finish_job(page)
    assert (server[1] / "graph/small-age.onnx").is_file()
    page.get_by_role("link", name="Predict with it").click()


def test_predictions_of_a_dropped_image_and_of_the_camera(page, server):
    image = next((server[1] / "data/synthetic_faces").glob("*.jpg"))
    page.set_input_files("#files", [str(image), str(server[1] / "models/small/train.log")])
    wait(page, "document.querySelectorAll('#results article').length === 2")
    text = page.locator("#results article").first.inner_text()
    assert image.name in text and re.search(r"small-age: \S+ \d+\.\d %", text)
    data = page.evaluate_handle(
        """async () => { const c = document.createElement('canvas'); c.width = c.height = 64;
        c.getContext('2d').fillRect(9, 9, 30, 30); const blob = await new Promise(r => c.toBlob(r));
        const t = new DataTransfer(); t.items.add(new File([blob], 'dropped.png', {type: 'image/png'})); return t; }"""
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})
    page.wait_for_selector("#results article:has-text('dropped.png'):has-text('small-age')")
    page.wait_for_selector("#csv:not(.hidden)")
    page.get_by_role("button", name="Why?").click()
    page.wait_for_selector("#results article:has-text('covering a red part')")
    page.get_by_role("button", name="use the camera").click()
    wait(page, "document.getElementById('video').videoWidth === 320")
    page.get_by_role("button", name="Predict this image").click()
    page.wait_for_selector("#results article:has-text('camera.jpg'):has-text('small-age')")
    page.get_by_role("button", name="Close the camera").click()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_their_width_and_have_contrast(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    home = page.request.get("/index.json").json()
    addresses = [
        "/",
        "/new-dataset",
        "/train",
        "/predict",
        "/deploy",
        "/jobs",
        f"/datasets/{home['databases'][0]['id']}",
    ]
    addresses += [f"/runs/{home['runs'][0]['id']}", f"/evaluations/{home['evaluations'][0]['id']}"]
    for address in addresses:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        colours = page.evaluate(
            "['color', 'backgroundColor'].map(n => getComputedStyle(document.body)[n].match(/\\d+/g).map(Number))"
        )
        assert _contrast(*colours) >= 7, address


def _contrast(first, second):
    """The contrast ratio of WCAG 2."""

    def luminance(colour):
        parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_everything_can_be_reached_by_keyboard(page):
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.getAttribute('href')"))
    assert any(str(href).startswith("/runs/") for href in seen)
    assert any(str(href).startswith("/datasets/") for href in seen)


def test_the_root_can_be_moved(server, tmp_path):
    """A copy elsewhere has the same items with the same ids."""
    from .conftest import client_of

    copy = shutil.copytree(server[1], tmp_path / "copy", ignore=shutil.ignore_patterns(".workbench"))
    found = client_of(copy).get("/index.json").json()
    assert [run["name"] for run in found["runs"]] == ["models/small/train"]
    assert os.path.basename(found["title"]) == "copy"
