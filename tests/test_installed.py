"""An installed package, away from the repository, has its configuration, presets and templates."""

import subprocess
import sys

import pytest
from workflow import ROOT

pytestmark = pytest.mark.slow

SCRIPT = """
from pathlib import Path
import workflow_src
from workflow_src.config.configure import configure
from workflow_src.config.run import PACKAGED, Config, defaults
assert Path(workflow_src.__file__).is_relative_to(Path("site").resolve()), workflow_src.__file__
assert len(defaults({}).games) == 22
assert Config.load(configure(PACKAGED, "quick", [], Path("run"))).games == ["pong", "mspacman"]
assert (Path(workflow_src.__file__).parent / "py.typed").is_file()
"""


def test_an_installed_package_has_its_data(tmp_path):
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", "site"]
    source = tmp_path / "source"
    copied = ["git", "clone", "--quiet", ROOT, source]
    install = [sys.executable, "-m", "pip", "install", *options, source]
    run = [sys.executable, "-c", "import sys; sys.path.insert(0, 'site')\n" + SCRIPT]
    for command in (copied, install, run):
        environment = {"PATH": "/usr/bin:/bin", "PYTHONSAFEPATH": "1"}
        done = subprocess.run(
            list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
