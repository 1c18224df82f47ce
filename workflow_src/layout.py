"""Where the artifacts of a run lie, relative to its directory: the one place that knows their paths."""

from workflow_src.ari.labels import GAMES, LABEL_SETS
from workflow_src.config.run import Config
from workflow_src.config.section import PURPOSES
from workflow_src.config.studies import Study

EPISODE = "results/episodes/{policy}/{purpose}/{game}-s{seed}.b2nd"
SPLIT = "results/splits/{policy}/{protocol}/{purpose}/{game}-s{seed}.safetensors"
ENCODER = "results/encoders/{policy}/{protocol}/{method}/{game}-s{seed}.safetensors"
HISTORY = "results/encoders/{policy}/{protocol}/{method}/{game}-s{seed}.csv"
EXAMPLES = "results/examples/{policy}/{protocol}/{method}/{game}-s{seed}.safetensors"
PROBE = "results/probes/{policy}/{protocol}/{method}/{probe}/{game}-s{seed}.json"
SCORES = "results/scores.csv"
METRICS = "results/metrics.json"
STUDY = "results/{study}.csv"
RECONSTRUCTIONS = "results/figures/reconstructions/{game}"
CURVES = "results/figures/learning_curves/{game}"
VARIABLES = "results/tables/table4_f1_by_variable/{game}"
# The label audit: what was measured of a game's RAM; table and pictures of a label set; frames with
# their labels beside.
MEASURED = "results/audit/measured/{game}.safetensors"
AUDIT = "results/audit/{label_set}/{game}"
FRAMES = "results/audit/frames/{game}"
AUDITS = [
    "results/tables/audit.csv",
    "results/tables/audit.tex",
    "results/tables/audit_variables.csv",
]
TABLE = "results/tables/{table}"
FIGURE = "results/figures/{figure}"
REPORT = "results/report.html"
PAPER = "results/paper.pdf"

# What the paper takes away from ST-DIM, by kind of method, from the least to all of it.
ABLATED = ("dim", "global-t-dim", "global-local-t-dim", "jsd-st-dim", "st-dim")


def _each(config: Config, protocols: list[str]) -> list[dict[str, str | int]]:
    """The names of one game of one run, for every policy, protocol, game and seed, in the order of the configuration."""
    axes = [
        (p, q, g, s)
        for p in config.policies
        for q in protocols
        for g in config.games
        for s in config.seeds
    ]
    return [dict(zip(("policy", "protocol", "game", "seed"), names, strict=True)) for names in axes]


def episodes(config: Config) -> list[str]:
    """Files of frames, of every policy as the protocols have it play."""
    policies = dict.fromkeys(
        config.playing_policy(policy, protocol)
        for policy in config.policies
        for protocol in config.protocols
    )
    rows = [
        (p, u, g, s) for p in policies for u in PURPOSES for g in config.games for s in config.seeds
    ]
    return [EPISODE.format(policy=p, purpose=u, game=g, seed=s) for p, u, g, s in rows]


def splits(config: Config) -> list[str]:
    """Files of splits."""
    return [
        SPLIT.format(purpose=purpose, **names)
        for names in _each(config, list(config.protocols))
        for purpose in PURPOSES
    ]


def encoders(config: Config, template: str = ENCODER) -> list[str]:
    """Files of weights, or of histories, of every method that has an encoder."""
    methods = [name for name, row in config.methods.items() if row.has_encoder]
    return [
        template.format(method=method, **names)
        for method in methods
        for names in _each(config, list(config.protocols))
    ]


def probes(config: Config) -> list[str]:
    """Files of scores: every method and every way it is read out."""
    return [
        PROBE.format(method=method, probe=probe, **names)
        for method, row in config.methods.items()
        for probe in row.probe_names(config.probe.kinds)
        for names in _each(config, list(config.protocols))
    ]


def study(config: Config, name: Study) -> list[str]:
    """Files of scores that a study compares: its base and what it derives from it, read out as the tables are."""
    return [
        PROBE.format(
            method=method, probe=config.methods[method].probe_names(config.probe.kinds)[0], **names
        )
        for protocol, methods in config.derived.methods(name).items()
        for method in methods
        for names in _each(config, [protocol])
    ]


def of_studies(config: Config) -> list[str]:
    """All that the studies of a run are made of and the run has not got without them, scores last, in the order of the data."""
    frames, tidied, learned, histories, scored = {}, {}, {}, {}, {}
    for name in config.studies:
        for protocol, methods in config.derived.methods(name).items():
            for names in _each(config, [protocol]):
                for purpose in PURPOSES:
                    played = {
                        "policy": config.playing_policy(names["policy"], protocol),
                        "game": names["game"],
                        "seed": names["seed"],
                    }
                    frames[EPISODE.format(purpose=purpose, **played)] = None
                    tidied[SPLIT.format(purpose=purpose, **names)] = None
                for method in methods:
                    if (
                        config.methods[method].has_encoder
                        and config.derived.encoder_protocol(protocol, config.methods[method])
                        == protocol
                    ):
                        learned[ENCODER.format(method=method, **names)] = None
                        histories[HISTORY.format(method=method, **names)] = None
        scored |= dict.fromkeys(study(config, name))
    known = {
        *episodes(config),
        *splits(config),
        *encoders(config),
        *encoders(config, HISTORY),
        *probes(config),
    }
    return [file for file in [*frames, *tidied, *learned, *histories, *scored] if file not in known]


def examples(config: Config, game: str) -> list[str]:
    """Files of what decoders make of a game's frames: the first policy, protocol and seed stand for all."""
    names = {
        "policy": next(iter(config.policies)),
        "protocol": next(iter(config.protocols)),
        "seed": config.seeds[0],
    }
    methods = [name for name, row in config.methods.items() if row.decodes is not None]
    return [EXAMPLES.format(method=method, game=game, **names) for method in methods]


def reconstructions(config: Config) -> list[str]:
    """Figures of what decoders make of frames, one a game, where any method has a decoder."""
    decodes = any(row.decodes is not None for row in config.methods.values())
    return [
        RECONSTRUCTIONS.format(game=game) + kind
        for game in config.games
        if decodes
        for kind in (".pdf", ".png")
    ]


def tables(config: Config) -> list[str]:
    """Tables over all games, and Pong's comparison where it is one of them."""
    names = ["table1_variables_by_category"]
    names += [
        f"{table}_{metric}_by_{row}"
        for table, row in (("table2", "game"), ("table3", "category"))
        for metric in ("f1", "accuracy")
    ]
    names += [
        "iqm",
        "f1_by_probe",
        *(["reproduction_pong"] if "pong" in config.games else []),
        *config.studies,
    ]
    return [TABLE.format(table=name) + kind for name in names for kind in (".csv", ".tex")]


def figures(config: Config) -> list[str]:
    """Figures over all games."""
    names = [
        "f1_by_game",
        "f1_by_category",
        "iqm",
        *(["ablations"] if ablated(config) else []),
        "learning_curves",
    ]
    return [
        FIGURE.format(figure=name) + kind
        for name in [*names, *config.studies]
        for kind in (".pdf", ".png")
    ]


def ablated(config: Config) -> list[str]:
    """List ST-DIM's ablations among the methods, and ST-DIM itself; nothing where one of both is not among them."""
    found = [
        method for kind in ABLATED for method, row in config.methods.items() if row.kind == kind
    ]
    kinds = {config.methods[method].kind for method in found}
    return found if "st-dim" in kinds and len(kinds) > 1 else []


def curves(config: Config) -> list[str]:
    """Figures of how encoders learned, one a game."""
    return [CURVES.format(game=game) + kind for game in config.games for kind in (".pdf", ".png")]


def variables(config: Config) -> list[str]:
    """Tables of every variable, one a game."""
    return [
        VARIABLES.format(game=game) + kind for game in config.games for kind in (".csv", ".tex")
    ]


def audited(config: Config, game: str) -> str:
    """The file of frames that a game's labels are audited on: the first policy, protocol and seed stand for all."""
    policy = config.playing_policy(next(iter(config.policies)), next(iter(config.protocols)))
    return EPISODE.format(policy=policy, purpose="probe", game=game, seed=config.seeds[0])


def measured(config: Config) -> list[str]:
    """Files of what was measured of a game's RAM."""
    return [MEASURED.format(game=game) for game in config.games]


def audits(config: Config, *kinds: str) -> list[str]:
    """Tables and pictures of the label audit, of the ``kinds`` (by default all), for every label set that has the game."""
    rows = [
        (label_set, game)
        for label_set in LABEL_SETS
        for game in config.games
        if game in GAMES[label_set]
    ]
    return [
        AUDIT.format(label_set=s, game=game) + kind
        for s, game in rows
        for kind in kinds or (".csv", ".pdf", ".png")
    ]


def frames(config: Config) -> list[str]:
    """Pictures of frames with their labels beside, and animations of them."""
    return [FRAMES.format(game=game) + kind for game in config.games for kind in (".gif", ".png")]


def folders(config: Config) -> dict[str, list[str]]:
    """{folder: its files}, of every step whose artifacts are grouped by folder, in the order of the data."""
    everything = [*episodes(config), *splits(config), *encoders(config), *encoders(config, HISTORY)]
    everything += [file for game in config.games for file in examples(config, game)] + probes(
        config
    )
    everything += of_studies(config)
    everything += reconstructions(config) + curves(config) + variables(config)
    everything += measured(config) + audits(config) + frames(config)
    found: dict[str, list[str]] = {}
    for file in everything:
        found.setdefault(file.rpartition("/")[0], []).append(file)
    return found
