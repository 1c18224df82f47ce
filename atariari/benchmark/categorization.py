"""``summary_key_dict``: category -> the variables of all games that belong to it."""

from atariari.benchmark.ram_annotations import atari_dict
from workflow_src.ari.labels import CATEGORIES, categories

all_keys: list[str] = [name for variables in atari_dict.values() for name in variables]

# The last one has another name than in the paper's tables, as in 2019.
summary_key_dict: dict[str, list[str]] = {
    "misc_keys" if category == "misc" else category: [
        name for name in all_keys if category in categories(name)
    ]
    for category in CATEGORIES
}
