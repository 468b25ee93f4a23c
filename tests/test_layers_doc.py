"""docs/reference/layers.md matches the layers."""

import importlib.util
import re

from support.checkout import ROOT


def program():
    spec = importlib.util.spec_from_file_location("layers_doc", ROOT / "scripts" / "layers_doc.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_not_stale():
    made = program()
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run python scripts/layers_doc.py"


def test_the_page_has_every_file_of_the_folder():
    page = (ROOT / "docs" / "reference" / "layers.md").read_text(encoding="utf-8")
    sections = {name.lower() for name in re.findall(r"^## (\w+)$", page, re.M)}
    files = {path.stem.replace("_", "") for path in (ROOT / "src" / "caffe" / "layers").glob("[!_]*.py")}
    assert sections == files - {"base"}
    rows = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (\S.*?) \|", page, re.M)
    assert {row[1] for row in rows} == sections and all(name.lower() == link for name, link, _ in rows)
