"""Tables of the page: numbers as text, heads of one or two rows, badges."""

import numpy as np
import pandas as pd
import pytest
from paged import configuration

from workflow_src.report.names import DASH
from workflow_src.report.page import cells


@pytest.fixture(scope="module")
def config():
    return configuration()


def test_numbers_have_the_decimals_they_need():
    assert cells.numbers(pd.Series([1.0, np.nan, 12000])) == ["1", DASH, "12,000"]
    assert cells.numbers(pd.Series([0.1, 0.25])) == ["0.10", "0.25"]
    assert cells.numbers(pd.Series([0.1, -0.12345]), signed=True) == ["+0.100", "−0.123"]


def test_heads_of_one_method_are_below_its_name(config):
    frame = pd.DataFrame(
        {
            "policy": "p",
            "game": ["pong", "mean"],
            "st-dim": [0.5, 0.25],
            "st-dim_paper": [0.81, np.nan],
        }
    )
    found = cells.lay_out(config, frame.assign(**{"st-dim_std": np.nan}), "t", caption="Said.")
    assert [(head.text, head.span) for head in found.groups] == [("Game", 1), ("ST-DIM", 2)]
    assert [head.text for head in found.heads if head.below] == ["ours", "paper"]
    assert found.caption == "Said. Policy p."
    assert found.summaries == [False, True]
    assert found.rows[0][0] == cells.Cell("pong", href="#game=pong")
    assert found.rows[1][2] == cells.Cell(DASH, order="")


def test_a_verdict_is_a_badge_and_comes_early(config):
    row = {
        "variable": "ball_x",
        "ram_index": 49,
        "least": 0,
        "verdict": "constant",
        "reason": "always 0",
    }
    found = cells.lay_out(config, pd.DataFrame([row]), "t")
    assert [head.text for head in found.heads] == [
        "Variable",
        "Verdict",
        "Reason",
        "RAM byte",
        "Least",
    ]
    assert found.rows[0][1] == cells.Cell("constant", badge="bad")
