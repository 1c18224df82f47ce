"""What probes read, frame by frame, beside the truth: an animation for each game.

The frame is on the left; each variable's row has its value in the RAM, what the probes of two
methods read, and a line of each over the frames so far.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from workflow_src import artifacts
from workflow_src.episodes.predictions import KIND
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.report.animation import write_gif
from workflow_src.report.audit.frame_sheets import INK, MARGIN, PAPER, SCALE, font
from workflow_src.report.names import method_name

DURATION = 90  # milliseconds that a frame is shown
MOST = 9  # variables
# The RAM's values, and those of the two methods.
TRUTH = (150, 150, 150)
INKS = ((200, 40, 30), (20, 90, 200))
_GRAYS = 4  # a GIF has 256 colours: of the frames' grays every fourth
_NAME, _LINE = 190, 250  # pixels: of names and values, of the lines


def write_readings(predictions: list[Path], frames: Path, out: Path) -> None:
    """Write one game's animation; ``out`` is its path without extension.

    ``predictions``: those of one game, policy and protocol, by method; the one that reads best is
    shown, and the untrained encoder, or else the one that reads worst. ``frames``: the probe's.
    `UserError` for none, for those of several games, and for other frames.
    """
    if not predictions:
        raise UserError(f"cannot draw {out}: name the predictions of at least one method")
    found = [artifacts.read_arrays(path, KIND) for path in predictions]
    store = FrameStore.open(frames)
    for path, (_, header) in zip(predictions, found, strict=True):
        if header["frames_sha256"] != store.sha256:
            raise UserError(f"{path} was made from other frames than {frames}: make it again")
    chosen = choose(found)
    pictures = shots(store.read(chosen[0][0]["rows"]), chosen)
    write_gif(pictures, out.with_name(f"{out.name}.gif"), DURATION)


def choose(found: list[tuple[dict, dict]]) -> list[tuple[dict, dict]]:
    """The method that reads most values right, and one to compare it with."""
    right = [float((one["predicted"] == one["labels"]).mean()) for one, _ in found]
    best = int(np.argmax(right))
    plain = [at for at, (_, header) in enumerate(found) if header["method"] == "random-cnn"]
    other = plain[0] if plain and plain[0] != best else int(np.argmin(right))
    return [found[at] for at in dict.fromkeys([best, other])]


def shots(frames: np.ndarray, chosen: list[tuple[dict[str, np.ndarray], dict[str, Any]]]) -> Any:
    """The pictures, one for each frame: uint8 (T, H, W, 3)."""
    truth, names = chosen[0][0]["labels"], chosen[0][1]["variables"][:MOST]
    grays = (frames // _GRAYS * _GRAYS).repeat(SCALE, 1).repeat(SCALE, 2)
    height = grays.shape[1]
    row = (height - 2 * MARGIN) // (len(names) + 1)
    found = []
    for step, gray in enumerate(grays):
        panel = Image.new("RGB", (_NAME + _LINE + 2 * MARGIN, height), PAPER)
        draw = ImageDraw.Draw(panel)
        draw.fontmode = "1"  # of few colours
        draw.text((MARGIN, 2), "RAM", fill=INK, font=font())
        left = MARGIN + 40
        for (_, header), ink in zip(chosen, INKS, strict=False):
            title = method_name(header["method"])
            draw.text((left, 2), title, fill=ink, font=font())
            left += 8 * len(title) + 14
        for number, name in enumerate(names):
            top = MARGIN + row * number + row // 2
            draw.text((MARGIN, top), name[:24], fill=INK, font=font())
            values = [truth[number, step], *(one["predicted"][number, step] for one, _ in chosen)]
            for column, (value, ink) in enumerate(zip(values, (INK, *INKS), strict=False)):
                draw.text((MARGIN + 44 * column, top + 14), f"{value:>4}", fill=ink, font=font())
            box = (MARGIN + _NAME, top, MARGIN + _NAME + _LINE, top + row - 8)
            lines = [truth[number], *(one["predicted"][number] for one, _ in chosen)]
            _draw_lines(draw, box, lines, step)
        found.append(np.hstack([np.repeat(gray[..., None], 3, 2), np.asarray(panel)]))
    return np.stack(found)


def _draw_lines(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], lines: list, step: int
) -> None:
    """The truth as a line, the readings as dots upon it, up to a step."""
    left, top, right, bottom = box
    everything = np.concatenate(lines)
    low, high = int(everything.min()), max(int(everything.max()), int(everything.min()) + 1)
    count = max(len(lines[0]) - 1, 1)

    def place(at: int, value: int) -> tuple[float, float]:
        x = left + (right - left) * at / count
        return round(x), round(bottom - (bottom - top) * (int(value) - low) / (high - low))

    points = [place(at, lines[0][at]) for at in range(step + 1)]
    draw.line(points if len(points) > 1 else points * 2, fill=TRUTH, width=2)
    for line, ink in zip(lines[:0:-1], INKS[len(lines) - 2 :: -1], strict=True):
        for at in range(step + 1):
            x, y = place(at, line[at])
            draw.rectangle((x - 1, y - 1, x, y), fill=ink)
