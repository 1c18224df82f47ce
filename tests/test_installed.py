"""The wheel, installed away from the repository: the wrapper alone, and all of it."""

import os
import re
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from workflow import ROOT, TINY

from workflow_src import layout

pytestmark = pytest.mark.slow

HERE = Path(sysconfig.get_paths()["purelib"])
# All that an installation without an extra takes from the index.
ALONE = ["ale-py", "cloudpickle", "Farama-Notifications", "gymnasium", "numpy", "typing_extensions"]

PACKAGED = """
from pathlib import Path
import workflow_src
from workflow_src.config.configure import configure
from workflow_src.config.run import PACKAGED, Config, defaults
assert "site-packages" in workflow_src.__file__, workflow_src.__file__
assert len(defaults({}).games) == 22
assert Config.load(configure(PACKAGED, "quick", [], Path("run"))).games == ["pong", "mspacman"]
assert (Path(workflow_src.__file__).parent / "py.typed").is_file()
"""
WRAPPED = """
import gymnasium as gym
from atariari import AtariARIWrapper
_, info = AtariARIWrapper(gym.make("MsPacmanNoFrameskip-v4")).reset(seed=0)
print(info["labels"])
"""
PROBED = """
import torch
from atariari import ProbeTrainer, get_episodes
*train, test, test_labels = get_episodes("PongNoFrameskip-v4", steps=6144, progress=False)
tr_episodes, val_episodes, tr_labels, val_labels = train
encoder = torch.nn.Sequential(torch.nn.AvgPool2d(10), torch.nn.Flatten())
trainer = ProbeTrainer(encoder, representation_len=336, epochs=2, progress=False)
trainer.train(tr_episodes, val_episodes, tr_labels, val_labels)
print(trainer.test(test, test_labels)[1]["across_categories_avg_f1"])
"""


def run(*command: str | Path, cwd: Path, code: int = 0, path: str = "/usr/bin:/bin") -> str:
    """What a command prints, away from this environment's variables."""
    environment = {"PATH": path, "PYTHONSAFEPATH": "1", "HOME": str(cwd)}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, env=environment
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("git", "clone", "--quiet", ROOT, "source", cwd=folder)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "."]
    run(sys.executable, "-m", "pip", "wheel", *options, folder / "source", cwd=folder)
    (found,) = folder.glob("atariari-*.whl")
    return found


def environment(folder: Path, wheel: Path, beside: str) -> Path:
    """The programs of a virtual environment with the wheel in it, and libraries of this one."""
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    if beside == "everything":
        (site / "beside.pth").write_text(f"{HERE}\n")
    else:
        for name in ALONE:
            for top in {Path(file).parts[0] for file in metadata.files(name)} - {"..", "bin"}:
                if not (site / top).exists():
                    (site / top).symlink_to(HERE / top)
    programs = folder / "venv" / "bin"
    options = ["install", "--quiet", "--no-deps", "--no-index"]
    pip = [sys.executable, "-m", "pip", "--python", programs / "python"]
    run(*pip, *options, wheel, cwd=folder)
    return programs


def test_without_an_extra_it_is_the_wrapper(tmp_path, wheel):
    wanted = [line for line in metadata.requires("atariari") if "extra ==" not in line]
    assert {re.split("[>=]", line)[0] for line in wanted} <= set(ALONE)
    programs = environment(tmp_path, wheel, "the wrapper")
    assert "'enemy_sue_x': 88" in run(programs / "python", "-c", WRAPPED, cwd=tmp_path)
    said = run(programs / "atariari", "init", "my", cwd=tmp_path, code=2)
    assert said.count("\n") == 1 and "pip install 'atariari[probe]'" in said
    assert not (tmp_path / "my").exists()


def test_with_its_extras_it_is_all_of_it(tmp_path, wheel):
    programs = environment(tmp_path, wheel, "everything")
    run(programs / "python", "-c", PACKAGED, cwd=tmp_path)
    assert "'enemy_sue_x': 88" in run(programs / "python", "-c", WRAPPED, cwd=tmp_path)
    assert 0 < float(run(programs / "python", "-c", PROBED, cwd=tmp_path).split()[-1]) < 1
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY | {"games": ["pong"], "device": "cpu"}))
    init = ["init", "my run", "--preset", "tiny.yaml"]
    assert "cd 'my run' && snakemake" in run(programs / "atariari", *init, cwd=tmp_path)
    run(programs / "atariari", *init, cwd=tmp_path)  # again changes nothing
    path = os.pathsep.join(map(str, [programs, "/usr/bin", "/bin"]))
    made = [programs / "python", "-m", "snakemake", "--quiet", "rules", "progress"]
    run(*made, cwd=tmp_path / "my run", path=path)
    assert (tmp_path / "my run" / layout.PAGE.path).is_file()
    shown = run(programs / "atariari", "show", "my run", cwd=tmp_path)
    assert "RANDOM-CNN" in shown and "pong" in shown
    (tmp_path / "my run/Snakefile").write_text("mine")
    said = run(programs / "atariari", *init, cwd=tmp_path, code=2)
    assert said == (
        "error: my run/Snakefile is another one: choose another directory, or remove it\n"
    )
