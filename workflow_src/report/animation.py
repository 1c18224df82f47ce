"""Writing an animation as a GIF: the same pictures give the same bytes."""

from pathlib import Path

import numpy as np

from workflow_src import artifacts
from workflow_src.report.audit.frame_sheets import in_palette


def write_gif(pictures: np.ndarray, out: Path, duration: int) -> None:
    """Write pictures, uint8 (T, H, W, 3) of at most 256 colours, as an endless GIF.

    ``duration``: milliseconds that each is shown.
    """
    first, *others = in_palette(pictures)
    with artifacts.atomic(out) as temporary:
        first.save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=others,
            duration=duration,
            loop=0,
            optimize=True,
        )
