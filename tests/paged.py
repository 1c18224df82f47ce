"""What tests of the page share: a small run of made files, and a reader of the page's HTML."""

import itertools
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from scored import table

from workflow_src import artifacts, layout
from workflow_src.ari.labels import LABEL_SETS, categories, variables
from workflow_src.config.run import Config, defaults
from workflow_src.csv_files import write_csv
from workflow_src.report.names import CATEGORY_NAMES
from workflow_src.report.page.write import write_report
from workflow_src.report.scores import COLUMNS, TYPES
from workflow_src.report.tables.write import write_tables

ROOT = Path(__file__).parents[1]
GAMES = ["pong", "boxing", "mspacman"]
METHODS = ["maj-clf", "random-cnn", "st-dim"]
HOSTILE = "<script>alert(1)</script>"
REASONS = ["its episode", "terminal frame", "short episode", "duplicate in train"]


def configuration() -> Config:
    """Three games, both protocols, two seeds, three methods."""
    others = [
        name
        for name in yaml.safe_load((ROOT / "config.yaml").read_text())["methods"]
        if name not in METHODS
    ]
    return defaults(
        {
            "games": GAMES,
            "seeds": [0, 1],
            "methods": dict.fromkeys(others),
            "ledger": None,
            "scaling": None,
        }
    )


def scores(config: Config) -> pd.DataFrame:
    """Scores of every probe: by variable of the game, by category, and their means."""
    random, rows = np.random.default_rng(0), []
    for game, protocol, (method, row), seed in itertools.product(
        config.games, config.protocols, config.methods.items(), config.seeds
    ):
        head = [
            "random_agent",
            protocol,
            method,
            row.probe_names(config.probe.kinds)[0],
            game,
            seed,
            config.label_set,
        ]
        names = {"variable": list(variables(config.label_set, game)), "mean_over_categories": [""]}
        names |= {"mean_over_variables": [""], "mean_weighted": [""]}
        names["category"] = [
            c for c in CATEGORY_NAMES if any(c in categories(v) for v in names["variable"])
        ]
        for level, metric in itertools.product(names, ("f1", "accuracy")):
            rows += [[*head, level, name, metric, random.uniform()] for name in names[level]]
    return pd.DataFrame(rows, columns=COLUMNS).astype(TYPES)


def write_split(
    path: Path, config: Config, purpose: str, protocol: str, game: str, seed: int
) -> None:
    """A split of 100 frames: 60 train, 20 val, 10 test, and 10 dropped, 7 as duplicates."""
    part = np.repeat(np.array([0, 1, 2, 3], np.uint8), [60, 20, 10, 10])
    reason = np.repeat(np.array([0, 1, 3], np.uint8), [90, 3, 7])
    names = list(variables(config.label_set, game))
    about = {
        name: {"entropy": 0.1 * number, "kept": number > 0} for number, name in enumerate(names)
    }
    header = {
        "game": game,
        "policy": "random_agent",
        "protocol": protocol,
        "purpose": purpose,
        "seed": seed,
    }
    header |= {"parts": ["train", "val", "test", "dropped"], "reasons": REASONS}
    header |= {"label_set": config.label_set, "variables": about} if purpose == "probe" else {}
    artifacts.write_arrays(path, "split", {"part": part, "reason": reason}, header)


def write_picture(path: Path, frames: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shades = [Image.new("L", (320, 210), 40 * shade) for shade in range(frames)]
    shades[0].save(path, save_all=frames > 1, append_images=shades[1:]) if frames > 1 else shades[
        0
    ].save(path, dpi=(300, 300))
    return path


@dataclass(frozen=True)
class Run:
    """A small run of made files, and how its page is written."""

    config: Config
    directory: Path
    shown: list[Path]

    def files(self, names: list[str]) -> list[Path]:
        return [self.directory / name for name in names]

    def write(self, out: Path, **change) -> str:
        arguments = {
            "scores": self.directory / layout.SCORES.path,
            "shown": self.shown,
            "splits": self.files(layout.SPLITS.files(self.config)),
            "histories": self.files(layout.HISTORIES.files(self.config)),
        }
        write_report(self.config, **(arguments | change), out=out)
        return out.read_text()


def make_run(directory: Path) -> Run:
    """All that the page shows, each file small: the real tables, and pictures of one shade."""
    config = configuration()
    results = directory / "results"
    write_csv(results / "scores.csv", scores(config))
    write_tables(config, results / "scores.csv", ROOT / "reference", results / "tables")
    table(
        results / "tables/odd.csv",
        f"game,amount,why\npong,9,\nboxing,100,{HOSTILE}\nmspacman,,plain\n"
        + "".join(f"g{number},{number},x\n" for number in (10, 11, 12, 13)),
    )
    for game in config.games:
        for seed, protocol in itertools.product(config.seeds, config.protocols):
            for purpose in ("pretrain", "probe"):
                names = {"purpose": purpose, "protocol": protocol, "game": game, "seed": seed}
                write_split(
                    directory / layout.SPLITS.path.format(policy="random_agent", **names),
                    config,
                    **names,
                )
        verdicts = itertools.cycle(["alive", "constant", "suspicious"])
        rows = "".join(
            f"{name},{byte},{next(verdicts)},{HOSTILE}\n"
            for name, byte in variables("paper-2019", game).items()
        )
        for label_set in LABEL_SETS:
            audit = f"results/audit/{label_set}/{game}"
            table(directory / f"{audit}.csv", f"variable,ram_index,verdict,reason\n{rows}")
            write_picture(directory / f"{audit}.png")
        write_picture(directory / f"results/audit/frames/{game}.png")
        write_picture(directory / f"results/audit/frames/{game}.gif", frames=3)
        write_picture(results / f"figures/learning_curves/{game}.png")
    for path in layout.HISTORIES.files(config):
        text = "epoch,train_loss,val_loss\n0,4,5\n1,3,2\n2,1,3\n" if "st-dim" in path else "epoch\n"
        table(directory / path, text)
    write_picture(results / "figures/f1_by_game.png")
    write_picture(results / "figures/learning_curves.png")
    shown = sorted(
        [
            *(results / "tables").glob("*.csv"),
            *(results / "figures").rglob("*.png"),
            *results.rglob("audit/*/*"),
        ]
    )
    return Run(config, directory, shown)


class Tags(HTMLParser):
    """Every element of a page, as (tag, attributes), and the text of each table's rows."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.rows: dict[str, list[list[str]]] = {}  # by the id of the section they stand in
        self.section = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "section" and "id" in dict(attrs):
            self.section = dict(attrs)["id"]
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")

    def handle_data(self, data):
        if self.rows.get(self.section, [[]])[-1]:
            self.rows[self.section][-1][-1] += data.strip()

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]
