"""The page Google Drive shows before a large file ("cannot scan for viruses"): where its button leads."""

from __future__ import annotations

import html.parser
import urllib.parse


def next_address(page, address):
    """The address behind the page's download form or link, or None; `address` is the page's own."""
    reader = _Reader()
    reader.feed(page)
    for action, fields in reader.forms:
        if "confirm" in fields or "download" in action:
            joined = urllib.parse.urljoin(address, action)
            mark = "&" if urllib.parse.urlsplit(joined).query else "?"
            return _same_kind(joined + (mark + urllib.parse.urlencode(fields) if fields else ""))
    for link in reader.links:
        if "confirm=" in link:
            return _same_kind(urllib.parse.urljoin(address, link))
    return None


def _same_kind(address):
    return address if urllib.parse.urlsplit(address).scheme in ("http", "https") else None


class _Reader(html.parser.HTMLParser):
    """Collects forms as (action, {field: value}) and the targets of links."""

    def __init__(self):
        super().__init__()
        self.forms, self.links = [], []

    def handle_starttag(self, tag, attrs):
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((told.get("action", ""), {}))
        elif tag == "input" and self.forms and told.get("name"):
            self.forms[-1][1][told["name"]] = told.get("value", "")
        elif tag == "a" and told.get("href"):
            self.links.append(told["href"])
