"""Films of agents: the screen, what the agent's value depends on, what it does, and the labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from workflow_src import artifacts
from workflow_src.agents.recording import KIND
from workflow_src.ari.annotations import GAMES
from workflow_src.ari.labels import labels, variables
from workflow_src.report.animation import write_gif
from workflow_src.report.audit.frame_sheets import (
    INK,
    MARGIN,
    PAPER,
    SCALE,
    font,
    shaded,
)

# Milliseconds that a step is shown: four emulator frames take 67.
DURATION = 70
# Of the picture of saliency: grays, and shares of red. With a screen's colours they are below 256.
_GRAYS, _REDS = 12, 6
_LINE, _WIDE = 15, 190


def write_film(recording: Path, label_set: str, out: Path) -> None:
    """Draw a recording as an endless GIF; ``out`` is its path.

    `UserError` or `DamagedFile` when ``recording`` is missing or damaged.
    """
    arrays, header = artifacts.read_arrays(recording, KIND)
    write_gif(shots(arrays, header, label_set), out, DURATION)


def shots(
    arrays: Mapping[str, np.ndarray], header: Mapping[str, Any], label_set: str
) -> np.ndarray:
    """The pictures of a recording, one a step: uint8 (T, H, W, 3)."""
    game, names = header["game"], []
    values = np.zeros((len(arrays["action"]), 0), np.uint8)
    if header["has_ram"] and game in GAMES[label_set]:
        names = list(variables(label_set, game))
        values = labels(arrays["ram"], label_set, game)
    screens = arrays["palette"][arrays["screen"]]
    overlays = overlay(screens, arrays["saliency"])
    found = []
    for step, (screen, salient) in enumerate(zip(screens, overlays, strict=True)):
        score = float(arrays["reward"][:step].sum())
        lines = [f"{header['agent']}, {header['weights']}", f"score {score:g}", ""]
        for number, meaning in enumerate(header["meanings"]):
            chosen = ">" if number == arrays["action"][step] else " "
            lines.append(f"{chosen}{meaning[:13]:<13} {arrays['values'][step, number]:>7.2f}")
        lines += ["", *(f"{n[:17]:<17}{v:>4}" for n, v in zip(names, values[step], strict=True))]
        both = [one.repeat(SCALE, 0).repeat(SCALE, 1) for one in (screen, salient)]
        found.append(np.hstack([*both, _text(lines, both[0].shape[0])]))
    return np.stack(found)


def overlay(screens: np.ndarray, salient: np.ndarray) -> np.ndarray:
    """Screens (T, H, W, 3) in grays, with red where ``salient`` (T, h, w) uint8 is high."""
    height, width = screens.shape[1:3]
    resized = [
        np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR))
        for one in salient
    ]
    gray = (screens.mean(3) * (_GRAYS - 1) / 255).round() * (255 / (_GRAYS - 1))
    red = (np.stack(resized).astype(float) * (_REDS - 1) / 255).round()[..., None] / (_REDS - 1)
    return (gray[..., None] * (1 - red) + red * np.array([255, 0, 0])).round().astype(np.uint8)


def _text(lines: list[str], height: int) -> np.ndarray:
    """Lines of text, in as many columns as they need: (height, w, 3) uint8."""
    fits = height // _LINE - 1  # letters reach below their line
    columns = -(-len(lines) // fits)
    image = Image.new("L", (_WIDE * columns, height))
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        column, row = divmod(number, fits)
        draw.text((column * _WIDE + MARGIN, row * _LINE), line, fill=255, font=font())
    return shaded(np.asarray(image), np.array(PAPER), np.array(INK))
