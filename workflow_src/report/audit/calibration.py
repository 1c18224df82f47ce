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
from workflow_src.ari.calibrated import HEIGHT, WIDTH, axis_of, positions
from workflow_src.ari.labels import is_position, variables
from workflow_src.audit.calibration import ANCHORS, Calibration, Watched, calibrate, watch
from workflow_src.csv_files import read_csv, write_csv
from workflow_src.emulator.environment import NOOP, Environment
from workflow_src.report.figures import style

# As in collecting: settings come as values, not with the configuration's code.
if TYPE_CHECKING:
    from workflow_src.config.episodes import Episodes

# Screens of a picture, in one row, and its resolution.
SCREENS, DPI = 6, 150
TEXTS = ("game", "variable", "encoding", "anchor", "reason")


def write_calibration(game: str, seed: int, settings: Episodes, out: Path) -> None:
    """Measure the positions of ``game``; write a table as CSV and a picture as PNG.

    ``out`` has no extension; ``seed`` is a root seed, ``settings`` how an emulator is played.
    """
    environment = Environment(
        game,
        seeds.generator(seed, game, "audit", "calibration emulator"),
        frame_skip=settings.frame_skip,
        noop_max=settings.noop_max,
    )
    watched = watch(environment, seeds.generator(seed, game, "audit", "calibration"))
    indices = {name: i for name, i in variables(REVISED, game).items() if is_position(name)}
    found = calibrate(watched, {name: i for name, i in indices.items() if axis_of(name)})
    write_csv(out.with_name(f"{out.name}.csv"), table(game, indices, found))
    drawn = style.png(picture(watched, indices, found), DPI)
    with artifacts.atomic(out.with_name(f"{out.name}.png")) as temporary:
        temporary.write_bytes(drawn)


def table(game: str, indices: dict[str, int], found: dict[str, Calibration]) -> pd.DataFrame:
    """A row for each position, in the annotations' order; columns as in docs/labels.md."""
    rows = []
    for name, index in indices.items():
        one = found.get(name)
        kept = one.fit if one is not None and not one.reason else None
        rows.append(
            {
                "game": game,
                "variable": name,
                "ram_index": index,
                "encoding": kept.map.encoding if kept else "",
                "scale": kept.map.scale if kept else np.nan,
                "offset": kept.map.offset if kept else np.nan,
                "anchor": ANCHORS[kept.anchor] if kept else "",
                "copies": kept.copies if kept else np.nan,
                "written": one.source if one and kept else np.nan,
                "checked": one.checked if one else 0,
                "error": one.error if one else np.nan,
                "error_90": one.error_90 if one else np.nan,
                "within": one.within if one else np.nan,
                "extent": one.extent if one else np.nan,
                "reason": one.reason if one else "it has no axis",
            }
        )
    numbers = {"copies": "Int64", "written": "Int64"}
    return pd.DataFrame(rows).astype(numbers).round(3)


def join(tables: list[Path], out: Path) -> None:
    """Write the tables of several games as one, in the games' order."""
    parts = [read_csv(path, text=TEXTS, numbers=["ram_index", "checked"]) for path in tables]
    whole = pd.concat(sorted(parts, key=lambda part: part["game"].iloc[0]))
    numbers = dict.fromkeys(("ram_index", "copies", "written", "checked"), "Int64")
    write_csv(out, whole.astype(numbers))


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
            axes.set(xlim=(-0.5, WIDTH - 0.5), ylim=(HEIGHT - 0.5, -0.5))
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
        if one.fit is None or one.reason:
            continue
        axis, place = axis_of(name), positions(one.fit.map)[ram[indices[name]]]
        before = {"centre": (one.extent - 1) / 2, "start": 0.0, "end": one.extent - 1}
        start = place - before[ANCHORS[one.fit.anchor]]
        spans.setdefault(name.replace(f"_{axis}", "_", 1), {})[axis] = (start - 0.5, one.extent)
    return list(spans.values())


def _box(axes, spans: dict[str, tuple[float, float]], color: str) -> None:
    x, wide = spans.get("x", (-1.0, WIDTH + 2.0))
    y, high = spans.get("y", (-1.0, HEIGHT + 2.0))
    line = 0.7 if len(spans) == 2 else 0.4
    axes.add_patch(Rectangle((x, y), wide, high, fill=False, edgecolor=color, linewidth=line))
