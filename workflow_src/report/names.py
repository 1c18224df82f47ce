"""How identifiers, and what is missing, read in tables and figures: the only place that knows display names."""

from workflow_src.config.protocols import QUIRKS, Protocol
from workflow_src.config.run import Config

DASH = "–"

CATEGORY_NAMES = {
    "small_object_localization": "Small object localization",
    "agent_localization": "Agent localization",
    "other_localization": "Other localization",
    "score_clock_lives_display": "Score/clock/lives/display",
    "misc": "Misc.",
}

METRIC_NAMES = {"f1": "F1", "accuracy": "accuracy"}

PROBE_NAMES = {
    "linear": "linear",
    "mlp": "one hidden layer",
    "observed": "linear, observed classes",
    "logistic": "logistic regression",
    "majority": "majority",
    "supervised": "its own",
}


# Of tables.
COLUMN_NAMES = {
    "f1": "F1",
    "iqm": "Interquartile mean",
    "std": "± std",
    "low": "From",
    "high": "To",
    "ram_index": "RAM byte",
    "pixels": "Screen changed",
    "pixels_most": "Most",
    "moves_x": "Moves along x",
    "moves_y": "Moves along y",
    "readable": "Read from frames, R²",
    "knows_lives": "Knows lives",
    "lives_know": "Lives know it",
    "at_lives": "Changes with lives",
    "with_lives": "Of its changes, with lives",
    "with_rewards": "With rewards",
    "game": "Game",
    "policy": "Policy",
    "protocol": "Protocol",
    "mean_weighted": "Weighted mean",
    "val": "Validation",
}
ROW_NAMES = {"mean": "Mean", "total": "Total", "paper_total": "Published total"}

# Titles and captions of the page: file in results/tables, results/figures or results -> (title, a
# sentence). {game} and {label_set} stand for any; a file that is not here has its own name as
# title, or its folder's.
TITLES = {
    "table1_variables_by_category": (
        "Variables by category",
        "Annotated state variables of each game by category; a variable can be in several, or in none.",
    ),
    "table2_f1_by_game": (
        "F1 by game",
        "Probe F1, mean over categories, beside the published values.",
    ),
    "table2_accuracy_by_game": ("Accuracy by game", "Probe accuracy, mean over categories."),
    "table3_f1_by_category": (
        "F1 by category",
        "Probe F1 by category, mean over the games that have the category, beside the published values.",
    ),
    "table3_accuracy_by_category": (
        "Accuracy by category",
        "Probe accuracy by category, mean over the games that have the category.",
    ),
    "table4_f1_by_variable/{game}": (
        "All variables of {game}",
        "Every annotated state variable, by method; nothing where the entropy filter dropped it.",
    ),
    "reproduction_pong": (
        "Pong, reproduced",
        "Ours beside the report of an independent reproduction (NeurIPS 2019 Reproducibility Challenge).",
    ),
    "f1_by_game": (
        "F1 by game",
        "Probe F1, mean over categories: a row a game, a column a method.",
    ),
    "f1_by_category": ("F1 by category", "Probe F1 by category and method."),
    "f1_by_probe": (
        "F1 by probe",
        "F1 by probe and by how variables are averaged, mean over games and seeds.",
    ),
    "iqm": (
        "Interquartile means",
        "Interquartile mean of F1 over all games and seeds, with an interval where there are several seeds.",
    ),
    "learning_curves": (
        "Learning curves",
        "Loss of training and validation by epoch, a panel a method, lines by game and seed.",
    ),
    "learning_curves/{game}": (
        "Learning curves of {game}",
        "Loss of training and validation by epoch, by method.",
    ),
    "reconstructions/{game}": (
        "Reconstructions of {game}",
        "What decoders make of frames of validation: the target above, the output below.",
    ),
    "ablations": ("Ablations", "What each part of ST-DIM is worth in F1."),
    "scaling": ("F1 against frames", "Probe F1 against the frames collected for the encoder."),
    "ledger": ("Ledger of quirks", "What each quirk of the 2019 code is worth in F1."),
    "audit": (
        "Label audit",
        "How many annotated variables of each game and label set are alive, suspicious or constant.",
    ),
    "audit_variables": (
        "Label audit: variables",
        "The annotated variables that are constant or suspicious, and why.",
    ),
    "audit/{label_set}/{game}": (
        "Labels of {game}, {label_set}",
        "What the annotated RAM bytes are while the game is played, and what happens when they are written.",
    ),
    "audit/frames/{game}": ("Frames of {game}", "Frames with their labels beside them."),
}


def title(key: str, **names: str) -> tuple[str, str]:
    """Title and caption of a file by its key in `TITLES`, with ``names`` in the place of {game} and {label_set}."""
    name = key.removesuffix("{game}").rstrip("/_").rpartition("/")[2]
    shown, caption = TITLES.get(key, (name.replace("_", " ").capitalize(), ""))
    for name, value in names.items():
        shown, caption = (text.replace(f"{{{name}}}", value) for text in (shown, caption))
    return shown, caption


def switches(config: Config) -> list[tuple[str, str, str, str, dict[str, str]]]:
    """Every switch of the protocols, by quirk: (quirk, section, name, what it decides, {protocol: what it is set to})."""
    rows = {protocol: row.model_dump() for protocol, row in config.protocols.items()}
    return [
        (
            quirk,
            section,
            name,
            Protocol.model_fields[section]
            .annotation.model_fields[name]
            .description.partition(": ")[2],
            {protocol: setting_text(row[section][name]) for protocol, row in rows.items()},
        )
        for quirk, named in QUIRKS.items()
        for section, name in named
    ]


def setting_text(value: bool | int | float | str) -> str:
    """A setting as config.yaml has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def method_name(method: str) -> str:
    """Write a method's identifier in capitals, as the paper does."""
    return method.upper()


def listed(names: list[str]) -> str:
    """Name the first three of ``names`` and count the others."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
