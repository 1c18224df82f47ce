"""Frames with their labels: a sheet of distant frames and a short animation, for each game.

Drawn from the colour screens and the RAM that `audit.measure` keeps. Labels are read from the RAM
by a label set; in the animation, those that changed since the previous frame are marked.
"""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from workflow_src import artifacts
from workflow_src.ari.labels import labels, variables
from workflow_src.audit import measured as measurements

# Each pixel of a screen is drawn as so many pixels high and wide.
SCALE = 2
# Tiles in a row of the sheet, and pixels between them.
COLUMNS, MARGIN = 3, 12
# Milliseconds that a frame of the animation is shown: a step of the benchmark takes 67.
DURATION = 120
# Pixels: the type size, the height of a line, the width of a letter.
_TYPE, _LINE, _LETTER = 12, 16, 7.3
# Shades between paper and ink: few, as an image has 256 colours and screens need up to 128.
_SHADES = 8
PAPER, INK, MARK = (255, 255, 255), (0, 0, 0), (255, 196, 64)


def write_frames(measured: Path, label_set: str, out: Path) -> None:
    """Write one game's sheet as PNG and its animation as GIF; ``out`` has no extension.

    `UserError` or `DamagedFile` when ``measured`` is missing, damaged, or of a game that
    ``label_set`` does not have.
    """
    arrays, header = measurements.read(measured)
    names = list(variables(label_set, header["game"]))
    screens = {part: arrays["palette"][arrays[part]] for part in ("sheet", "film")}
    values = {
        part: labels(arrays[f"{part}_ram"], label_set, header["game"]) for part in ("sheet", "film")
    }
    sheets = zip(screens["sheet"], values["sheet"], strict=True)
    tiles = [tile(screen, names, row) for screen, row in sheets]
    before = np.vstack([values["film"][:1], values["film"][:-1]])
    film = zip(screens["film"], values["film"], before, strict=True)
    shots = [tile(screen, names, row, row != last) for screen, row, last in film]
    images = in_palette(np.stack(shots))
    with artifacts.atomic(out.with_name(f"{out.name}.png")) as temporary:
        in_palette(sheet(tiles)[None])[0].save(temporary, format="PNG", optimize=True)
    with artifacts.atomic(out.with_name(f"{out.name}.gif")) as temporary:
        images[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=DURATION,
            loop=0,
            optimize=True,
        )


def tile(
    screen: np.ndarray, names: list[str], values: np.ndarray, changed: np.ndarray | None = None
) -> np.ndarray:
    """A screen (H, W, 3) uint8, enlarged, with each variable's name and value to its right.

    (h, w, 3) uint8. Values that ``changed`` (V,) bool are marked.
    """
    large = screen.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    lines = large.shape[0] // _LINE
    columns = -(-len(names) // lines)
    lines = -(-len(names) // columns)
    letters = max(map(len, names)) + 5
    wide = round(letters * _LETTER) + MARGIN
    text, marks = (Image.new("L", (wide * columns, large.shape[0])) for _ in range(2))
    draw, mark = ImageDraw.Draw(text), ImageDraw.Draw(marks)
    for number, (name, value) in enumerate(zip(names, values.tolist(), strict=True)):
        column, line = divmod(number, lines)
        left, top = column * wide + MARGIN, line * _LINE
        draw.text((left, top), f"{name:<{letters - 4}}{value:>3}", fill=255, font=font())
        if changed is not None and changed[number]:
            right = left + round((letters - 1) * _LETTER)
            mark.rectangle(
                (right - round(3 * _LETTER) - 3, top, right + 2, top + _LINE - 2), fill=255
            )
    paper = np.where(
        np.asarray(marks)[:, :, None] > 0, np.array(MARK, np.uint8), np.array(PAPER, np.uint8)
    )
    return np.hstack([large, shaded(np.asarray(text), paper, np.array(INK))])


def shaded(shades: np.ndarray, paper: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Ink of some shades (h, w) uint8 on paper: (h, w, 3) uint8, of few colours."""
    share = (shades[:, :, None].astype(np.float64) * (_SHADES - 1) / 255).round() / (_SHADES - 1)
    return (paper * (1 - share) + ink * share).round().astype(np.uint8)


def font() -> ImageFont.FreeTypeFont:
    """A font that is part of matplotlib: the same on every machine."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"
    return ImageFont.truetype(str(path), _TYPE, layout_engine=ImageFont.Layout.BASIC)


def sheet(tiles: list[np.ndarray]) -> np.ndarray:
    """Lay tiles out in rows of three: (h, w, 3) uint8."""
    height, width, _ = tiles[0].shape
    rows = -(-len(tiles) // COLUMNS)
    found = np.full(
        (rows * (height + MARGIN) + MARGIN, COLUMNS * (width + MARGIN) + MARGIN, 3), PAPER, np.uint8
    )
    for number, one in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        top, left = (at * (size + MARGIN) + MARGIN for at, size in ((row, height), (column, width)))
        found[top : top + height, left : left + width] = one
    return found


def in_palette(images: np.ndarray) -> list[Image.Image]:
    """Images of at most 256 colours with one palette for all: nothing is lost or dithered.

    ``images`` are (n, h, w, 3) uint8.
    """
    packed = images.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    # A table of all 24-bit colours: sorting ten million pixels takes twenty times as long.
    seen = np.zeros(1 << 24, bool)
    seen[packed] = True
    colors = np.flatnonzero(seen)
    assert len(colors) <= 256, f"{len(colors)} colours are too many for one palette"
    number_of = np.zeros(1 << 24, np.uint8)
    number_of[colors] = np.arange(len(colors))
    palette = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1).astype(np.uint8)
    found = []
    for indices in number_of[packed]:
        image = Image.fromarray(indices, "P")
        image.putpalette(palette.tobytes())
        found.append(image)
    return found
