"""A few damaged files for every reader in every test run; `python tests/fuzz` runs many more."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import cases
from targets import TARGETS

few_examples = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", TARGETS)
@few_examples
@given(number=st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_refused(name, number):
    assert cases.run(name, number) >= 0


@pytest.mark.parametrize("name", [name for name in TARGETS if cases.corpus(name)])
def test_files_found_by_coverage_are_read_or_refused(name):
    for number, data in enumerate(cases.corpus(name)):
        assert cases.read(name, data) >= 0
        assert cases.read(name, cases.damaged(name, number, cases.corpus(name))) >= 0


FOUND = [("resume", 294894)]  # cases that once ended in another exception: a ZIP member compressed by LZMA


@pytest.mark.parametrize("name, number", FOUND)
def test_cases_that_were_faults(name, number):
    assert cases.run(name, number) >= 0


@pytest.mark.parametrize("name", TARGETS)
def test_valid_files_are_accepted(name, tmp_path):
    for number, data in enumerate(cases.seeds(name)):
        accepted = 0
        for reader in TARGETS[name].readers:
            folder = tmp_path / f"{number}-{accepted}"
            folder.mkdir(exist_ok=True)
            path = folder / "file"
            path.write_bytes(data)
            try:
                reader(path)
            except cases.CaffeError:
                continue
            accepted += 1
            break
        assert accepted or name == "leveldb", f"no reader accepts seed {number}"


def test_damage_depends_on_the_number_only():
    assert cases.damaged("prototxt", 5) == cases.damaged("prototxt", 5) != cases.damaged("prototxt", 7)
