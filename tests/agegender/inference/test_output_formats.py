"""JSON of predictions: an age in decades has the expected years too."""

import json

import numpy as np
import pytest

from agegender.inference import labels, output_formats
from agegender.inference.results import NetOutput


def nets_of_decades():
    return [known for known in labels.ALL.values() if known.bounds]


@pytest.mark.parametrize("known", nets_of_decades(), ids=lambda known: known.name)
def test_years_of_a_net_of_age_classes(known):
    probabilities = np.random.default_rng(len(known)).dirichlet(np.ones(len(known)))
    expected = 0.0
    for (first, last), p in zip(known.bounds, probabilities):
        expected += p * (first + last) / 2
    best = int(probabilities.argmax())
    output = NetOutput("AgeNet", known.names[best], float(probabilities[best]), probabilities.tolist(), "age")
    values = output_formats._plain(output)
    assert values["years"] == pytest.approx(expected, abs=0.005) and values["label"] == known.names[best]
    json.dumps(values)


def test_years_of_other_nets():
    years = NetOutput("n", "31.4", 0.1, [0.1] * 101, "age", years=31.4159)
    assert output_formats._plain(years)["years"] == 31.42
    assert "years" not in output_formats._plain(NetOutput("g", "Male", 0.9, [0.9, 0.1], "gender"))
    assert "years" not in output_formats._plain(NetOutput("a", "x", 0.9, [0.9, 0.1], "age"))  # unknown classes
