"""Chromium under playwright, or the reason why it is not there."""

import contextlib
import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def program():
    """The path of a Chromium, None without one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def missing():
    """Why there are no tests in a browser, "" if there can be."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed: ./test.sh --with-browser"
    return "" if program() else "Chromium is not installed: ./test.sh --with-browser"


@contextlib.contextmanager
def opened(camera="", **options):
    """A context manager for a browser context; `camera` is a .y4m video that takes the place of the camera."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    arguments += [f"--use-file-for-fake-video-capture={camera}"] if camera else []
    environment = {**os.environ, "HOME": os.environ.get("HOME", "/tmp")}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program(), args=arguments, env=environment)
        try:
            yield browser.new_context(**options)
        finally:
            browser.close()
