"""The HTML page of an evaluation: its numbers are those of report.json, names are text."""

from html.parser import HTMLParser

import numpy as np

from agegender.evaluate import report, report_html
from agegender.inference.labels import Labels

NAMES = ("<b>young</b>", "old\x1b[31m")
MATRIX = np.array([[3, 1], [2, 4]])


class Cells(HTMLParser):
    """The text of every table cell, the names of all elements, and the images."""

    def __init__(self):
        super().__init__()
        self.rows, self.tags, self.sources = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "img":
            self.sources.append(dict(attributes)["src"])

    def handle_data(self, data):
        if self.rows and self.rows[-1] and self.tags[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def parsed():
    values = {"net": "demo", **report.summary(MATRIX, Labels("two", NAMES)), "database": "db", "weights": None}
    cells = Cells()
    cells.feed(report_html.page(values, ["confusion.png"]))
    return cells


def rows_of(name):
    return [[cell.strip() for cell in row[1:]] for row in parsed().rows if row and row[0].strip() == name]


def test_numbers_are_those_of_the_matrix():
    assert rows_of("Accuracy") == [["70.0 %"]] and rows_of("Images") == [["10"]]
    matrix, by_class = rows_of(NAMES[0])
    assert matrix == ["3", "1"]
    assert by_class == ["4", "60.0 %", "75.0 %", "66.7 %"]  # support, precision, recall, F1
    assert rows_of("old\\x1b[31m")[0] == ["2", "4"]


def test_names_are_text():
    cells = parsed()
    assert "b" not in cells.tags and "script" not in cells.tags
    assert cells.sources == ["confusion.png"]
