"""The styles of HTML reports: complete in both schemes, without addresses of other files."""

import re

from ncs.profile import styles


def test_both_schemes_define_every_variable():
    text = styles.text()
    light, dark = (set(re.findall(r"(--[\w-]+):", block)) for block in re.findall(r":root \{(.*?)\}", text, re.S))
    assert light == dark
    assert set(re.findall(r"var\((--[\w-]+)\)", text)) <= light


def test_page_needs_no_other_file():
    page = styles.page("Title", "<p>body</p>")
    assert page.startswith("<!DOCTYPE html>") and "<title>Title</title>" in page and "<p>body</p>" in page
    assert not re.search(r"url\(|@import|<link|<script|https?:", page)
