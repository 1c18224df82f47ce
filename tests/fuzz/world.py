"""A tiny run of real files, made once, that is damaged and killed in many ways."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from workflow_src import layout
from workflow_src.cli.main import cli
from workflow_src.config.run import Config

ROOT = Path(__file__).parents[2]
GAME = "spaceinvaders"
NAMES = ["--game", GAME, "--policy", "random_agent", "--protocol", "paper", "--seed", "0"]
PLAY = ["--game", GAME, "--policy", "random_agent", "--seed", "0", "--workers", "1", "--quiet"]
AXES = {"policy": "random_agent", "protocol": "paper", "game": GAME, "seed": 0}
CHANGE = {
    "games": [GAME],
    "episodes": {"frames": {"pretrain": 1200, "probe": 1200}, "num_envs": 1},
    "training": {"epochs": 2, "batch_size": 64, "threads": 1},
    "probe": {"epochs": 2, "threads": 1},
    "only": {"methods": ["maj-clf", "random-cnn", "st-dim"], "protocols": ["paper"]},
    "device": "cpu",
    "ledger": None,
    "scaling": None,
}


@dataclass(frozen=True)
class Step:
    """A command of the workflow, and the files that it makes."""

    name: str
    arguments: Sequence[str]
    makes: Sequence[str]

    def run(self) -> None:
        """Run it in this process, in the current directory; errors come as they are."""
        cli.main(list(self.arguments), prog_name="fuzz", standalone_mode=False)


def episodes(purpose: str) -> str:
    return layout.EPISODES.path.format(purpose=purpose, **AXES)


def split(purpose: str) -> str:
    return layout.SPLITS.path.format(purpose=purpose, **AXES)


def encoder(method: str) -> str:
    return layout.ENCODERS.path.format(method=method, **AXES)


def history(method: str) -> str:
    return layout.HISTORIES.path.format(method=method, **AXES)


def probe(method: str, kind: str) -> str:
    return layout.PROBES.path.format(method=method, probe=kind, **AXES)


def steps() -> list[Step]:
    """The steps of the run, in the order of the data."""
    found = []
    for purpose in ("pretrain", "probe"):
        made = episodes(purpose)
        played = ["episodes", *PLAY, "--purpose", purpose, "--out", made]
        found.append(Step("episodes", played, [made]))
        parted = ["splits", *NAMES, "--purpose", purpose, "--frames", made, "--out", split(purpose)]
        found.append(Step("splits", parted, [split(purpose)]))
    data = ["--frames", episodes("pretrain"), "--split", split("pretrain")]
    test = ["--frames", episodes("probe"), "--split", split("probe")]
    for method in ("random-cnn", "st-dim"):
        made = [encoder(method), history(method)]
        given = data if method == "st-dim" else []
        state = ["--checkpoint", f"checkpoints/{method}"] if given else []
        out = ["--out", made[0], "--history", made[1]]
        learned = ["encoders", *NAMES, "--method", method, *given, *state, *out, "--quiet"]
        found.append(Step("encoders", learned, made))
    for method, kind in (("maj-clf", "majority"), ("random-cnn", "linear"), ("st-dim", "linear")):
        weights = [] if method == "maj-clf" else ["--weights", encoder(method)]
        out = ["--out", probe(method, kind)]
        read = ["probes", *NAMES, "--method", method, "--probe", kind, *test, *weights, *out]
        found.append(Step("probes", read, [probe(method, kind)]))
    out = ["--out", layout.SCORES.path, "--metrics", layout.METRICS.path]
    found.append(Step("scores", ["scores", *out], [layout.SCORES.path, layout.METRICS.path]))
    tables = ["tables", "--scores", layout.SCORES.path, "--reference", str(ROOT / "reference")]
    made = ["results/tables/table2_f1_by_game.csv", "results/tables/table2_f1_by_game.tex"]
    found.append(Step("tables", [*tables, "--out", "results/tables"], made))
    measured = layout.MEASURED.path.format(game=GAME)
    audited = f"results/audit/paper-2019/{GAME}"
    frames = ["--game", GAME, "--seed", "0", "--frames", episodes("probe"), "--out", measured]
    found.append(Step("audit", ["audit-measure", *frames], [measured]))
    judged = ["audit", "--measured", measured, "--label-set", "paper-2019", "--out", audited]
    found.append(Step("audit", judged, [f"{audited}.csv", f"{audited}.png"]))
    return found


def make(directory: Path) -> Path:
    """Make the run in ``directory``, if it is not there yet."""
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "config.yaml").exists():
        preset = directory / "preset.yaml"
        preset.write_text(yaml.safe_dump(CHANGE))
        command = [sys.executable, "-m", "workflow_src", "configure", "--preset", str(preset)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run([*command, "--into", str(directory)], check=True, env=environment)
    Config.load(directory / "config.yaml")
    here = Path.cwd()
    os.chdir(directory)
    try:
        for step in steps():
            if not all(Path(file).exists() for file in step.makes):
                step.run()
    finally:
        os.chdir(here)
    return directory
