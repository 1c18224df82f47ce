"""Where a game's position bytes put things on the screen: a table, and screens with the boxes.

Measured by `audit.calibration`. The tables of all games together are ``ari/calibration.csv``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from workflow_src import artifacts, seeds
from workflow_src.ari.annotations import REVISED
from workflow_src.ari.calibrated import SIZE, axis_of, positions
from workflow_src.ari.labels import is_position, variables
from workflow_src.audit.calibration import Calibration, Watched, calibrate, watch
from workflow_src.csv_files import read_csv, write_csv
from workflow_src.emulator.environment import NOOP, Environment
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report.figures import style

# As in collecting: settings come as values, not with the configuration's code.
if TYPE_CHECKING:
    from workflow_src.config.episodes import Episodes

# Screens of a picture, in one row, and its resolution.
SCREENS, DPI = 6, 150
MEASURED = ["extent", "moments", "distinct", "error", "error_90", "within", "chance", "reason"]
COLUMNS = ["game", "variable", "ram_index", "encoding", "scale", "offset", "anchor", "copies"]
COLUMNS += ["written", *MEASURED]
TEXTS = ("game", "variable", "encoding", "anchor", "reason")
WHOLE = ("ram_index", "copies", "written", "moments", "distinct")


def write_calibration(game: str, seed: int, settings: Episodes, out: Path) -> None:
    """Measure the positions of ``game``; write a table as CSV and a picture as PNG.

    ``out`` has no extension; ``seed`` is a root seed, ``settings`` how an emulator is played.
    """
    csv, png = (out.with_name(f"{out.name}.{kind}") for kind in ("csv", "png"))
    artifacts.check_writable(csv, png)
    environment = Environment(
        game,
        seeds.generator(seed, game, "audit", "calibration emulator"),
        frame_skip=settings.frame_skip,
        noop_max=settings.noop_max,
    )
    watched = watch(environment, seeds.generator(seed, game, "audit", "calibration"))
    indices = {name: i for name, i in variables(REVISED, game).items() if is_position(name)}
    found = calibrate(watched, {name: i for name, i in indices.items() if axis_of(name)})
    drawn = style.png(picture(watched, indices, found), DPI)
    with artifacts.atomic(png) as temporary:
        temporary.write_bytes(drawn)
    write_csv(csv, table(game, indices, found))


def table(game: str, indices: dict[str, int], found: dict[str, Calibration]) -> pd.DataFrame:
    """A row for each position, in the annotations' order; columns as in docs/labels.md."""
    rows = []
    for name, index in indices.items():
        row = dict.fromkeys(COLUMNS, np.nan) | dict.fromkeys(TEXTS, "")
        row |= {"game": game, "variable": name, "ram_index": index, "reason": "it has no axis"}
        if name in found:
            one = found[name]._asdict()
            row |= {column: one[column] for column in MEASURED}
            if not found[name].reason:
                kept, anchor, copies, source = found[name][:4]
                assert kept is not None
                row |= {**kept._asdict(), "anchor": anchor, "copies": copies, "written": source}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(WHOLE, "Int64")).round(3)


def join(tables: list[Path], out: Path) -> None:
    """Write the tables of several games as one, in the games' order.

    `UserError` for a game that is there twice; `DamagedFile` for a file of another kind.
    """
    parts: dict[str, pd.DataFrame] = {}
    for path in tables:
        part = read_csv(path, text=TEXTS, numbers=[c for c in COLUMNS if c not in TEXTS])
        if part["game"].nunique() != 1:
            raise DamagedFile(f"{path} is damaged (it is not of one game): make it again")
        game = part["game"].iloc[0]
        if game in parts:
            raise UserError(f"{path} is a second table of {game}: name one for each game")
        parts[game] = part
    whole = pd.concat([parts[game] for game in sorted(parts)])
    write_csv(out, whole[COLUMNS].astype(dict.fromkeys(WHOLE, "Int64")))


def picture(watched: Watched, indices: dict[str, int], found: dict[str, Calibration]) -> Figure:
    """Screens of play with a box for each object, where the bytes put it.

    An object that has one axis gets a line. One that is not there at the moment is drawn, too: a
    position does not say whether anything is at it.
    """
    ale, every = watched.environment.ale, len(watched.checked) // SCREENS
    with style.styled():
        figure = Figure(figsize=(1.55 * SCREENS, 2.15))
        for number, state in enumerate(watched.checked[::every][:SCREENS]):
            ale.restoreState(state)
            # Two frames as one, as in the benchmark: many things flicker.
            both = []
            for _ in range(2):
                ale.act(watched.environment.actions[NOOP])
                both.append(ale.getScreenRGB())
            axes = figure.add_axes((number / SCREENS, 0, 0.97 / SCREENS, 1))
            axes.imshow(np.maximum(*both), aspect="auto", interpolation="nearest")
            axes.set(xlim=(-0.5, SIZE["x"] - 0.5), ylim=(SIZE["y"] - 0.5, -0.5))
            axes.axis("off")
            for rank, spans in enumerate(_spans(ale.getRAM(), indices, found)):
                _box(axes, spans, style.SERIES[rank % len(style.SERIES)])
    return figure


def _spans(
    ram: np.ndarray, indices: dict[str, int], found: dict[str, Calibration]
) -> list[dict[str, tuple[float, float]]]:
    """For each object its first pixel and its length, by axis."""
    spans: dict[str, dict[str, tuple[float, float]]] = {}
    for name, one in found.items():
        if one.map is None or one.reason:
            continue
        axis = axis_of(name)
        centre = positions(one.map, axis)[ram[indices[name]]]
        span = (centre - one.extent / 2, one.extent)
        spans.setdefault(name.replace(f"_{axis}", "_", 1), {})[axis] = span
    return list(spans.values())


def _box(axes, spans: dict[str, tuple[float, float]], color: str) -> None:
    x, wide = spans.get("x", (-1.0, SIZE["x"] + 2.0))
    y, high = spans.get("y", (-1.0, SIZE["y"] + 2.0))
    line = 0.7 if len(spans) == 2 else 0.4
    axes.add_patch(Rectangle((x, y), wide, high, fill=False, edgecolor=color, linewidth=line))
