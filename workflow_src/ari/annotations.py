"""The names of label sets and games, and the annotations of 2019 and 2020 as they were published.

Source: AtariARI (Anand et al. 2019, arXiv 1906.08226), at 2019-10-11 and 2020-06-09.
"""

import csv
from pathlib import Path

PAPER, REVISED, CALIBRATED = "paper-2019", "revised-2020", "calibrated"


def _read() -> dict[str, dict[str, dict[str, int]]]:
    sets: dict[str, dict[str, dict[str, int]]] = {}
    with open(Path(__file__).with_name("annotations.csv"), newline="") as file:
        for row in csv.DictReader(file):
            sets.setdefault(row["label_set"], {}).setdefault(row["game"], {})[row["variable"]] = (
                int(row["ram_index"])
            )
    return sets


# Label set -> game -> variable -> RAM index.
ANNOTATIONS = _read()
LABEL_SETS: tuple[str, ...] = (*ANNOTATIONS, CALIBRATED)
GAMES: dict[str, tuple[str, ...]] = {
    label_set: tuple(sorted(games)) for label_set, games in ANNOTATIONS.items()
}
# Ours is made from the later one.
GAMES[CALIBRATED] = GAMES[REVISED]
