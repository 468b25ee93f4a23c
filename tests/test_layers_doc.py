"""docs/reference/layers.md is up to date with the docstrings of the layers."""

import re

from support.checkout import ROOT, load_script


def test_page_is_up_to_date():
    script = load_script("layers_doc")
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run python scripts/layers_doc.py"


def test_page_has_every_layer():
    page = (ROOT / "docs" / "reference" / "layers.md").read_text(encoding="utf-8")
    names = re.findall(r"^## (\w+)$", page, re.M)
    sections = {name.lower() for name in names}
    files = {path.stem.replace("_", "") for path in (ROOT / "src" / "caffe" / "layers").glob("[!_]*.py")}
    assert sections == files - {"base"} and len(names) == len(set(names))
    rows = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (\S.*?) \|", page, re.M)
    assert [name for name, _, _ in rows] == names
    links = [link for _, link, _ in rows]
    assert len(set(links)) == len(links)  # LSTM and Lstm have different anchors
    assert all(re.fullmatch(f"{name.lower()}(_\\d)?", link) for name, link, _ in rows)
