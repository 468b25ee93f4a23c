"""The styles that HTML reports embed and the workbench serves: light and dark, wide and narrow."""

from __future__ import annotations

import os

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "report.css")


def text() -> str:
    """Return the style sheet."""
    with open(PATH, encoding="utf-8") as stream:
        return stream.read()


def page(title: str, body: str) -> str:
    """Return a whole HTML page without scripts and links; `title` and `body` are HTML already."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>\n'
        f"<style>\n{text()}</style></head><body><main>\n<h1>{title}</h1>\n{body}</main></body></html>\n"
    )
