"""Options of kinds, files of custom encoders, and the probes of each method."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from configs import ROOT, put, refusal

from workflow_src import kinds
from workflow_src.config.methods import Method
from workflow_src.config.run import Config, defaults
from workflow_src.config.section import PURPOSES


def test_options_are_those_declared_with_the_row_s_before_them():
    row = Method(kind="cpc", options={"gru_size": 8})
    assert row.resolved_options == kinds.declared("methods", "cpc")["OPTIONS"] | {"gru_size": 8}
    assert kinds.declared("methods", "cpc")["OPTIONS"]["gru_size"] == 256  # untouched
    assert Method(kind="vae").resolved_options == {"beta": 1.0}
    assert Method(kind="st-dim").resolved_options == Method(kind="majority").resolved_options == {}


def test_a_whole_number_is_a_number():
    assert Method(kind="vae", options={"beta": 4}).resolved_options == {"beta": 4}


def test_kinds_declare_what_their_files_say():
    for kind in kinds.names("methods"):
        public = {n for n in kinds.declared("methods", kind) if not n.startswith("_")}
        assert public <= {
            "OPTIONS",
            "LEARNS_FROM",
            "DECODES",
            "PROBE",
            "HAS_ENCODER",
            "SHARED_ENCODER",
            "READS",
            "ENCODER",
            "TERMS",
        }
        assert kinds.declared("methods", kind).get("LEARNS_FROM", "pretrain") in (None, *PURPOSES)
        options = kinds.declared("methods", kind).get("OPTIONS", {})
        assert all(type(value) in (int, float, str, bool) for value in options.values())
        # No masks is the one 0 that is a default.
        numbers = {n: value for n, value in options.items() if type(value) in (int, float)}
        assert {name for name, value in numbers.items() if value == 0} <= {"masked"}
        assert all(value >= 0 for value in numbers.values())
    assert kinds.declared("methods", "st-dim") == {}


def test_a_configuration_is_checked_without_torch():
    code = (
        "import json, sys; from workflow_src import layout\n"
        "from workflow_src import kinds\nfrom workflow_src.config.run import Config\n"
        f"config = Config.load({str(ROOT / 'config.yaml')!r}); "
        "layout.PROBES.files(config); layout.PROBES.files(config, 'ledger')\n"
        "found = {kind: kinds.declared('methods', kind) for kind in kinds.names('methods')}\n"
        "print(json.dumps([found, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found, modules = json.loads(done.stdout)
    assert "pydantic" in modules
    assert not {
        "torch",
        "pandas",
        "sklearn",
        "workflow_src.methods",
        "workflow_src.encoders",
    } & set(modules)
    assert found == {kind: kinds.declared("methods", kind) for kind in kinds.names("methods")}


@pytest.fixture
def custom(tmp_path):
    """Write a configuration with an encoder of one's own in a folder of its own; returns the
    configuration's path.
    """

    def custom(**row):
        content = put("methods.mine", {"kind": "custom", "module": "mine/encoder.py:Mine"} | row)
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "run" / "config.yaml"

    return custom


def test_files_of_a_custom_encoder_are_looked_for_beside_the_configuration(
    custom, tmp_path, monkeypatch
):
    path = custom(weights="mine/w.pt", kwargs={"depth": 3, "names": ["a"]})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "encoder.py").write_text("")
    monkeypatch.chdir(tmp_path)  # where the file is, but not beside the configuration
    said = refusal(Config.load, path)
    assert (
        said == f"{path}: methods.mine.module: there is no file mine/encoder.py; write its path "
        "relative to the run's directory"
    )
    (path.parent / "mine").mkdir()
    (path.parent / "mine" / "encoder.py").write_text("this is no Python, and nobody reads it yet")
    assert "methods.mine.weights: there is no file mine/w.pt; write" in refusal(Config.load, path)
    (path.parent / "mine" / "w.pt").mkdir()
    assert "methods.mine.weights: there is no file mine/w.pt; write" in refusal(Config.load, path)
    (path.parent / "mine" / "w.pt").rmdir()
    (path.parent / "mine" / "w.pt").write_text("")
    row = Config.load(path).methods["mine"]
    assert row.files == {"module": Path("mine/encoder.py"), "weights": Path("mine/w.pt")}
    assert row.kwargs == {"depth": 3, "names": ["a"]}


def test_files_of_a_custom_encoder_can_be_anywhere(custom, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for module, file in (
        ("~/e.py", tmp_path / "home" / "e.py"),
        (str(tmp_path / "e:1.py"), tmp_path / "e:1.py"),
    ):
        path = custom(module=f"{module}:Mine")
        assert f"there is no file {file}" in refusal(Config.load, path)
        file.write_text("")
        assert Config.load(path).methods["mine"].files == {"module": file}


def test_other_methods_have_no_files():
    assert all(row.files == {} for row in Config.load(ROOT / "config.yaml").methods.values())


@pytest.mark.parametrize("kinds", [["linear"], ["mlp", "observed", "logistic"]])
def test_readouts(kinds):
    loaded = defaults({"probe": {"kinds": kinds}})
    expected = dict.fromkeys(loaded.methods, kinds)
    expected |= {
        "maj-clf": ["majority"],
        "supervised": ["supervised"],
        "supervised-shared": ["supervised"],
    }
    assert {
        name: row.probe_names(loaded.probe.kinds) for name, row in loaded.methods.items()
    } == expected
    assert Method(kind="custom", module="a.py:A").probe_names(loaded.probe.kinds) == kinds
