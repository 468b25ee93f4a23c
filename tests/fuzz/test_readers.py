"""A few damaged files for every reader, in every run of the tests; `python tests/fuzz` gives them many more."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import cases
from targets import TARGETS

few = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", TARGETS)
@few
@given(number=st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_refused(name, number):
    assert cases.run(name, number) >= 0


@pytest.mark.parametrize("name", TARGETS)
def test_the_sound_files_are_sound(name, tmp_path):
    for number, data in enumerate(cases.seeds(name)):
        read = 0
        for reader in TARGETS[name].readers:
            folder = tmp_path / ("%d-%d" % (number, read))
            folder.mkdir(exist_ok=True)
            path = folder / "file"
            path.write_bytes(data)
            try:
                reader(path)
            except cases.CaffeError:
                continue
            read += 1
            break
        assert read or name == "leveldb", "nobody reads seed %d" % number


def test_damage_is_told_by_its_number():
    assert cases.damaged("prototxt", 5) == cases.damaged("prototxt", 5) != cases.damaged("prototxt", 7)
