"""The attacks of `make fuzz`, few of each, with seeds."""

import os
import subprocess
import sys

import numpy as np
import pytest
from fuzz import configs, files, world
from fuzz.count import BAD

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """In a process of its own: what ran PyTorch must not be forked."""
    directory = tmp_path_factory.mktemp("fuzz") / "run"
    code = "import sys; from fuzz import world; world.make(world.Path(sys.argv[1]))"
    places = os.pathsep.join([str(world.ROOT / "tests"), str(world.ROOT)])
    environment = os.environ | {"PYTHONPATH": places}
    subprocess.run([sys.executable, "-c", code, directory], check=True, env=environment)
    return directory


def test_mutated_configurations_are_refused_or_read_as_written(tmp_path):
    counts = configs.fuzz(200, np.random.default_rng(1), tmp_path)
    assert not counts.bad
    assert counts.tried["refused"] > 100
    assert sum(counts.tried.values()) == 200


def test_the_oracle_of_configurations_knows_what_yaml_changes(tmp_path):
    import yaml

    for text in ("a: 010", "a: 1:30", "a: 1_000", "a: 0x1F", "a: 1:30.5", "a: 0b1"):
        assert not configs.is_as_written(yaml.compose(text), yaml.safe_load(text)), text
    for text in ("a: 10", "a: -1.5", "a: [yes, x]", "a: {b: null}", "a: '010'"):
        assert configs.is_as_written(yaml.compose(text), yaml.safe_load(text)), text


def test_damaged_files_are_refused_or_mean_the_same(run, monkeypatch):
    monkeypatch.chdir(run)
    found = files.fuzz(360, np.random.default_rng(1))
    assert not [bad for counts in found.values() for bad in counts.bad]
    assert all(counts.tried["refused"] > 20 for counts in found.values())


def test_the_harness_sees_what_is_accepted_silently(run, monkeypatch):
    monkeypatch.chdir(run)
    history = files.Kind(world.history("st-dim"), lambda path: path.read_bytes())
    monkeypatch.setattr(files, "kinds", lambda: {"unchecked": history})
    counts = files.fuzz(20, np.random.default_rng(1))["unchecked"]
    assert counts.tried["accepted silently"] > 15
    assert len(counts.bad) == counts.tried["accepted silently"]


def test_kills_lose_nothing(run):
    """By `make fuzz` itself, whose process has not run PyTorch."""
    places = os.pathsep.join([str(world.ROOT / "tests"), str(world.ROOT)])
    command = [sys.executable, "-m", "fuzz", "--only", "kills", "--rounds", "12", "--seed", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": places}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 tried" in done.stdout and done.stdout.splitlines()[-1].startswith("fuzz, seed 1: ")
    for bad in BAD:
        assert f" 0 {bad}" in done.stdout.splitlines()[-1]
