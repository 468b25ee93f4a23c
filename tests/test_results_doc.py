"""docs/results-appendix.md is up to date with the JSON files, and the main page stays short."""

import json

from support.checkout import ROOT, load_script


def test_page_is_up_to_date():
    script = load_script("results_doc")
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run python scripts/results_doc.py"


def test_every_file_names_its_command_and_its_faces():
    paths = sorted((ROOT / "docs" / "results").glob("*.json"))
    assert paths
    for path in paths:
        facts = json.loads(path.read_text(encoding="utf-8"))
        assert facts["command"].startswith("agegender evaluate ") and facts["title"] and facts["nets"]
        for result in facts["nets"].values():
            for task in {"gender", "age"} & set(result):
                sexes = result[task]["groups"]["sex"].values()
                assert sum(row["faces"] for row in sexes) == result["faces"] - result["without_face"]


def test_the_main_page_has_three_tables():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert text.count("\n| ---") == 3 and len(text.splitlines()) < 110
