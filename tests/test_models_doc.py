"""docs/models.md is what bench/model_families.py writes, and has a row for each of its families."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    yield __import__("model_families"), __import__("model_page")
    for name in ("model_families", "model_page"):
        del sys.modules[name]


def test_the_page_is_current(bench):
    families, page = bench
    path = ROOT / "docs" / "models.md"
    rows = page.read(path, families.FAMILIES)
    assert page.text(rows, families.FAMILIES) == path.read_text(encoding="utf-8")
    values = {"", "yes", "no", "differs", "with its Python code"}
    assert {row.get(column, "") for row in rows.values() for column in page.COLUMNS} <= values
