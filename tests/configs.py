"""What tests of the configuration share: the paper's run, changes of it, and refusals."""

import copy
from pathlib import Path

import pytest
import yaml

from workflow_src.errors import UserError

ROOT = Path(__file__).parents[1]
PAPER = yaml.safe_load((ROOT / "config.yaml").read_text())
PRESETS = sorted((ROOT / "workflow_src" / "presets").glob("*.yaml"))


def put(key, value):
    """The repository's configuration with one dotted key set, or taken away if the value is
    ``...``.
    """
    content = copy.deepcopy(PAPER)
    *sections, last = key.split(".")
    inner = content
    for section in sections:
        inner = inner[section]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return content


def refusal(call, *arguments):
    with pytest.raises(UserError) as refused:
        call(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# The quirks in which the paper's two protocols differ.
DIFFER = [
    "Q1",
    "Q2",
    "Q4",
    "Q5",
    "Q6",
    "Q7",
    "Q8",
    "Q11",
    "Q12",
    "Q15",
]  # Q9 is the same in paper and corrected
