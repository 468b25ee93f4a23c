"""Find the download address in the page Google Drive shows before a large file ("cannot scan for viruses")."""

from __future__ import annotations

import html.parser
import urllib.parse


def next_address(page: str, address: str) -> str | None:
    """Return the address of the page's download form or link, or None; `address` is that of the page."""
    parser = _FormParser()
    parser.feed(page)
    for action, fields in parser.forms:
        if "confirm" in fields or "download" in action:
            url = urllib.parse.urljoin(address, action)
            separator = "&" if urllib.parse.urlsplit(url).query else "?"
            return _http_only(url + (separator + urllib.parse.urlencode(fields) if fields else ""))
    for link in parser.links:
        if "confirm=" in link:
            return _http_only(urllib.parse.urljoin(address, link))
    return None


def _http_only(address):
    return address if urllib.parse.urlsplit(address).scheme in ("http", "https") else None


class _FormParser(html.parser.HTMLParser):
    """Collects forms as (action, {field: value}) and link targets."""

    def __init__(self):
        super().__init__()
        self.forms, self.links = [], []

    def handle_starttag(self, tag, attrs):
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((attributes.get("action", ""), {}))
        elif tag == "input" and self.forms and attributes.get("name"):
            self.forms[-1][1][attributes["name"]] = attributes.get("value", "")
        elif tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
