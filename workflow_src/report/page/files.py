"""The tables and pictures that the page shows, read from their files."""

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from workflow_src import catalogue, layout
from workflow_src.config.run import Config
from workflow_src.errors import DamagedFile, UserError, explained
from workflow_src.report.page.cells import Table, download, lay_out, read_table

PICTURES = {"PNG": "image/png", "GIF": "image/gif"}

_DOTS = 150  # per printed inch, on the page
_DEFAULT_DOTS = 72  # per inch, of a picture that does not say
_FILM = (
    "Left: the screen. Middle: in red, the pixels on which the value of the action depends. "
    "Right: the values of all actions (a policy's logits), the one it takes, and the labels."
)
# Parts of a game's view, in the order of the page.
_PARTS = ("frames", "probes", "labels", "learning", "reconstructions")


@dataclass(frozen=True)
class Subject:
    """What a file shows: its game, if it is of one, and where the page has it under which title."""

    ident: str  # its id in the page
    title: str
    caption: str = ""
    key: str = ""  # in the catalogue
    game: str | None = None
    part: str = "probes"  # of the game's view
    agent: str | None = None  # whose film it is


@dataclass(frozen=True)
class Picture:
    """A picture with its bytes as a data address.

    Sizes are in pixels; ``shown`` is its width on the page. ``high_dpi`` pictures are made for
    print, with letters that are small on a screen.
    """

    key: str
    title: str
    caption: str
    source: str
    width: int
    height: int
    shown: int
    high_dpi: bool
    is_animation: bool


Shown = Table | Picture


def subject(config: Config, path: Path) -> Subject:
    """What a file shows, by the catalogue.

    A file that the catalogue does not have is titled by its name, or by its folder if it is named
    after a game; it belongs to a game if its name ends in the game's.
    """
    below = path.as_posix().rpartition("results/")[2] if "results" in path.parts else path.name
    ident = re.sub(r"\W+", "-", re.sub("^(tables|figures)/", "", below))
    found = catalogue.find(path.as_posix())
    if found is not None:
        exhibit, names = found
        if names.get("game", config.games[0]) in config.games:
            title, caption = (
                exhibit.named(text, names) for text in (exhibit.title, exhibit.caption)
            )
            game = names.get("game")
            return Subject(ident, title, caption, exhibit.key, game, exhibit.game_part)
    film = layout.FILMS.parse(f"results/{below}")
    if film is not None:
        game = film["game"] if film["game"] in config.games else None
        title = f"{film['agent']} plays {film['game']}, {film['weights']} weights"
        return Subject(ident, title, _FILM, "films", game, "frames", film["agent"])
    games = [game for game in config.games if path.stem == game or path.stem.endswith(f"_{game}")]
    if not games:
        return Subject(ident, _title(path.stem))
    name = path.stem.removesuffix(games[0]).rstrip("_") or path.parent.name
    return Subject(ident, _title(name), game=games[0])


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def read(config: Config, about: Subject, path: Path) -> Shown:
    """Read a file to be shown; `UserError` for one that is neither a table nor a picture."""
    if path.suffix == ".csv":
        return lay_out(
            config,
            read_table(path),
            about.ident,
            title=about.title,
            caption=about.caption,
            download=download(path),
            name=path.name,
        )
    if path.suffix[1:].upper() in PICTURES:
        return picture(about, path)
    raise UserError(f"the page cannot show {path}: name tables as CSV and pictures as PNG or GIF")


def picture(about: Subject, path: Path) -> Picture:
    """Read a picture; `DamagedFile` for any other file."""
    with explained("read", path):
        content = path.read_bytes()
    return picture_of(about, content, str(path))


def picture_of(about: Subject, content: bytes, path: str = "a picture") -> Picture:
    """The same of the bytes of a picture; ``path`` names it in errors."""
    try:
        with Image.open(io.BytesIO(content), formats=list(PICTURES)) as image:
            (width, height), kind = image.size, str(image.format)
            dots = round(image.info.get("dpi", (_DEFAULT_DOTS,))[0])
            image.verify()
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damage
        raise DamagedFile(
            f"{path} is damaged (not a picture): delete it and make it again"
        ) from error
    return Picture(
        key=about.ident,
        title=about.title,
        caption=about.caption,
        source=f"data:{PICTURES[kind]};base64,{base64.b64encode(content).decode()}",
        width=width,
        height=height,
        shown=round(width * _DOTS / dots) if dots > _DOTS else width,
        high_dpi=dots > _DOTS,
        is_animation=kind == "GIF",
    )


def by_part(items: list[tuple[Subject, Shown]]) -> dict[str, list[list[Shown]]]:
    """A game's files by part of its view; those of one title together, animations last."""
    found: dict[str, dict[str, list[Shown]]] = {part: {} for part in _PARTS}
    for about, item in items:
        found[about.part].setdefault(item.title, []).append(item)
    return {
        part: [sorted(group, key=_is_animation) for group in by_title.values()]
        for part, by_title in found.items()
    }


def _is_animation(item: Shown) -> bool:
    return isinstance(item, Picture) and item.is_animation
