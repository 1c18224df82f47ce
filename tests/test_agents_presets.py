"""Presets of agents: their effective settings, against a table written by hand from the sources."""

import csv
from pathlib import Path

import pytest
import yaml

from workflow_src.config.agents import PRESETS, Agent, presets

with (Path(__file__).parent / "agents_presets.csv").open() as file:
    TABLE = {row.pop("preset"): row for row in csv.DictReader(file)}


def test_every_preset_is_in_the_table():
    assert sorted(TABLE) == presets()


def text(value):
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("name", TABLE)
def test_a_preset_is_as_published(name):
    agent = Agent.model_validate({"preset": name})
    found = {}
    for key in TABLE[name]:
        value = agent
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else getattr(value, part)
        found[key] = text(value)
    assert found == TABLE[name]


@pytest.mark.parametrize("name", presets())
def test_a_preset_lists_only_what_differs(name):
    """And begins with a comment that names its source."""
    whole = (PRESETS / f"{name}.yaml").read_text()
    assert whole.startswith("# ")
    content, plain = yaml.safe_load(whole), Agent().model_dump()
    for key, value in content.items():
        if isinstance(value, dict) and key != "options":
            for inner, setting in value.items():
                assert plain[key][inner] != setting, f"{key}.{inner} is the default"
        elif key != "options":
            assert plain[key] != value, f"{key} is the default"
