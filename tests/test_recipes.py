"""README's recipes for a method, an encoder, a policy, a probe and a game, done literally."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from workflow import ROOT, jobs, snakemake

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text()
# What a dry run lists for all tables and figures of scores, and for all learning curves.
REPORT = {"scores", "tables", "variables", "figures", "agreement", "readings", "report"}
CURVES = {"curves", "curves_of_game"}

METHOD = '''"""DIM under another name."""

from workflow_src.methods.dim import DIM
from workflow_src.training.objective import method

OPTIONS = {"factor": 2.0}


@method("my-method")
class MyMethod(DIM):
    """As `DIM`, with a scaled loss."""

    def __init__(self, settings, generator):
        super().__init__(settings, generator)
        self.factor = settings.resolved_options["factor"]

    def forward(self, frames, labels=None):
        """The loss of a batch of frames."""
        return {name: self.factor * loss for name, loss in super().forward(frames).items()}
'''
ENCODER = '''"""A small encoder."""

from functools import partial

from torch import nn

from workflow_src.encoders.base import Encoder, FrameConv2d, orthogonal
from workflow_src.encoders.registry import encoder


@encoder("my-net")
class MyNet(Encoder):
    """Frames (N, channels, 210, 160) -> representation (N, feature_size)."""

    def __init__(self, feature_size, generator, channels=1):
        local = nn.Sequential(
            orthogonal(FrameConv2d, channels, 8, 16, stride=16, generator=generator), nn.ReLU()
        )
        linear = orthogonal(nn.Linear, 8 * 13 * 10, feature_size, generator=generator)
        super().__init__(local, nn.Sequential(nn.Flatten(), linear), local_channels=8)
'''
POLICY = '''"""Always the same action."""

from workflow_src.episodes.policy import policy

OPTIONS = {"action": 2}


@policy("my-policy")
class MyPolicy:
    """The action of the row's options."""

    def __init__(self, settings, actions, rng, player=None):
        self.action = settings.options.get("action", OPTIONS["action"])

    def __call__(self, frame, begins):
        return self.action
'''
PROBE = '''"""The nearest neighbour in train."""

from sklearn.neighbors import KNeighborsClassifier

NAME = "nearest neighbour"
OPTIONS = {"neighbours": 1}
GRADIENT_DESCENT = False


class Fitted:
    def __init__(self, model):
        self.model = model

    def predict(self, values):
        return self.model.predict(values)


def fit(train, val, settings, switches, rng, device, *, names=None, progress=False):
    """Fit all variables at once."""
    model = KNeighborsClassifier(settings.resolved_options("my-probe")["neighbours"])
    return Fitted(model.fit(train.values, train.labels))
'''


def steps(title: str) -> list[str]:
    """The numbered steps of a recipe of the README; its heading says how many there are."""
    text = README[README.index(f"**{title}** (") :]
    count = int(re.match(r"\*\*.*\*\* \((\d+) steps\)", text)[1])
    found = re.findall(r"^\d+\. (.*(?:\n   .*)*)", text.partition("\n**")[0], re.MULTILINE)
    assert len(found) == count, f"README counts {count} steps for {title}: {found}"
    return found


class Copy:
    """A copy of the sources with a finished run, to which a recipe adds files and rows."""

    def __init__(self, source: Path, directory: Path):
        self.source, self.directory = source, directory
        self.config = yaml.safe_load((directory / "config.yaml").read_text())

    def write(self, file: str, text: str) -> None:
        path = self.source / file
        assert not path.exists()
        path.write_text(text)

    def configure(self) -> None:
        (self.directory / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))

    def make(self, *targets: str) -> None:
        done = snakemake(self.source, self.directory, *targets)
        assert done.returncode == 0, done.stdout + done.stderr
        assert all((self.directory / target).is_file() for target in targets)


@pytest.fixture
def copy(source, finished, tmp_path):
    """The finished run and its sources, as deep in the tree as the originals."""
    shutil.copytree(source, tmp_path / "copy", symlinks=True)  # times and notes of jobs, too
    return Copy(tmp_path / "copy", tmp_path / "copy" / finished.relative_to(source))


def test_a_method(copy):
    file, entry, page = steps("A method")
    assert "workflow_src/methods/" in file and "`OPTIONS`" in file and "docs/methods/" in page
    copy.write("workflow_src/methods/my_method.py", METHOD)
    assert jobs(copy.source, copy.directory) == {}, "a file alone reruns nothing"
    copy.config["methods"] |= yaml.safe_load(re.search(r"`(my-method: .*?)`", entry)[1])
    copy.configure()
    copy.write("docs/methods/my-method.md", "# My method\n")
    assert jobs(copy.source, copy.directory) == expected(copy, encoders=2, probes=2, curves=True)
    copy.make("results/probes/random_agent/paper/my-method/linear/spaceinvaders-s0.json")


def test_an_encoder(copy):
    file, entry = steps("An encoder")
    assert "workflow_src/encoders/architectures/" in file
    copy.write("workflow_src/encoders/architectures/my_net.py", ENCODER)
    assert jobs(copy.source, copy.directory) == {}, "a file alone retrains nothing"
    row = {"kind": "random-cnn"} | yaml.safe_load(re.search(r"`(encoder: my-net)`", entry)[1])
    copy.config["methods"]["small-cnn"] = row
    copy.configure()
    assert jobs(copy.source, copy.directory) == expected(copy, encoders=2, probes=2, curves=True)
    copy.make("results/probes/random_agent/paper/small-cnn/linear/spaceinvaders-s0.json")


def test_a_policy(copy):
    file, entry = steps("A policy")
    assert "workflow_src/episodes/policies/" in file
    copy.write("workflow_src/episodes/policies/my_policy.py", POLICY)
    assert jobs(copy.source, copy.directory) == {}, "a file alone replays nothing"
    copy.config["policies"] |= yaml.safe_load(re.search(r"`(my_agent: .*?)`", entry)[1])
    copy.configure()
    found = jobs(copy.source, copy.directory)
    own = {"episodes": 4, "splits": 4, "encoders": 4, "probes": 6}
    assert {name: found.get(name) for name in own} == own, "only its own frames are played"
    assert not any(name.startswith("audit") for name in found)
    copy.make("results/episodes/my_agent/pretrain/spaceinvaders-s0.b2nd")


def test_a_probe(copy):
    file, entry = steps("A probe")
    assert "workflow_src/probes/kinds/" in file and "`fit`" in file and "probe.kinds" in entry
    copy.write("workflow_src/probes/kinds/my_probe.py", PROBE)
    assert jobs(copy.source, copy.directory) == {}, "a file alone fits nothing again"
    copy.config["probe"]["kinds"].append("my-probe")
    copy.configure()
    wanted = expected(copy, probes=4)
    del wanted["readings"]  # which is of the first probe
    assert jobs(copy.source, copy.directory) == wanted
    copy.make("results/probes/random_agent/paper/random-cnn/my-probe/spaceinvaders-s0.json")


def test_a_game(copy):
    file, entry = steps("A game")
    assert "workflow_src/ari/annotations.csv" in file and "`games`" in entry
    with (copy.source / "workflow_src/ari/annotations.csv").open("a") as rows:
        rows.writelines(f"paper-2019,pooyan,player_y_{byte},{byte}\n" for byte in range(30, 60))
    copy.config["games"].append("pooyan")
    copy.configure()
    found = jobs(copy.source, copy.directory)
    own = {"episodes": 2, "splits": 2, "encoders": 2, "probes": 3}
    assert {name: found.get(name) for name in own} == own, "other games are not made again"
    copy.make("results/splits/random_agent/paper/pretrain/pooyan-s0.safetensors")


def expected(copy: Copy, curves: bool = False, **own: int) -> dict[str, int]:
    """The jobs of a recipe: its ``own``, and what is shown of all games."""
    shown = dict.fromkeys(REPORT | (CURVES if curves else set()), 1)
    by_game = {"variables", "curves_of_game", "readings"} & set(shown)
    return own | shown | dict.fromkeys(by_game, len(copy.config["games"]))
