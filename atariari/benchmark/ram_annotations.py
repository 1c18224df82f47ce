"""``atari_dict``: game -> variable -> RAM index, as the 2019 code had it in the end."""

from workflow_src.ari.annotations import GAMES
from workflow_src.ari.labels import variables

# What the last version of the 2019 code had. The published tables are of paper-2019.
LABEL_SET = "revised-2020"

atari_dict: dict[str, dict[str, int]] = {
    game: variables(LABEL_SET, game) for game in GAMES[LABEL_SET]
}
