"""The artifacts of a run: which files there are, where, and what their names mean.

Each kind of artifact is declared once, in `ARTIFACTS`, in data-flow order. The rules, DVC's stages,
`verify`, the page and the paper read it; nothing else knows a path. Tables and figures come from
the catalogue of exhibits.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_src import catalogue
from workflow_src.ari.annotations import LABEL_SETS
from workflow_src.config.agents import Agent
from workflow_src.config.run import Config
from workflow_src.config.section import PURPOSES
from workflow_src.config.studies import STUDIES, Study
from workflow_src.errors import UserError
from workflow_src.paths import place

# What replaces the wildcards of a path, such as {"game": "pong", "seed": 0}.
Names = dict[str, str | int]
# What a wildcard can be in a path; others are any text without a slash.
_PATTERNS = {
    "seed": r"\d+",
    "game": "[a-z0-9]+",
    "purpose": "|".join(PURPOSES),
    "label_set": "|".join(LABEL_SETS),
    "study": "|".join(STUDIES),
}


@dataclass(frozen=True)
class Scope:
    """The protocols of a run, or of one of its studies, with the methods of each."""

    methods: dict[str, tuple[str, ...]]
    agents: dict[str, Agent]
    is_study: bool = False

    @classmethod
    def of(cls, config: Config, study: Study | None) -> "Scope":
        """The scope of a study, or of the run itself."""
        if study is None:
            return cls(dict.fromkeys(config.protocols, tuple(config.methods)), config.agents)
        return cls(config.derived.methods(study), config.derived.agents(study), is_study=True)


Axes = Callable[[Config, Scope], Iterable[Names]]


@dataclass(frozen=True)
class Artifact:
    """A kind of file of a run.

    ``step`` is the step that makes it; ``path`` has wildcards in braces, relative to the run's
    directory; ``axes`` gives their values for a configuration and a scope, in its order; ``when``
    says whether a run has it at all; ``in_studies`` whether studies make more of them.
    """

    step: str
    path: str
    axes: Axes = lambda config, scope: [{}]
    when: Callable[[Config], bool] = lambda config: True
    in_studies: bool = False

    def files(self, config: Config, study: Study | None = None) -> list[str]:
        """The files of a run itself, or those that one of its studies uses."""
        if not self.when(config):
            return []
        names = self.axes(config, Scope.of(config, study))
        return list(dict.fromkeys(self.path.format(**values) for values in names))

    def all_files(self, config: Config) -> list[str]:
        """The files of a run and of the studies that are part of it."""
        found = self.files(config)
        for study in config.studies if self.in_studies else []:
            found += self.files(config, study)
        return list(dict.fromkeys(found))

    def parse(self, file: str) -> dict[str, str] | None:
        """The values of the wildcards in a file's name, or None if it is of another kind."""
        match = _pattern(self.path).fullmatch(file)
        return match and match.groupdict()

    @property
    def has_folder(self) -> bool:
        """Whether its files are grouped by folder, which is the unit of DVC's stages."""
        return "{" in self.path and self.path.count("/") > 1


@functools.cache
def _pattern(path: str) -> re.Pattern:
    parts = re.split(r"\{(\w+)\}", path)
    text = "".join(
        f"(?P<{part}>{_PATTERNS.get(part, '[^/]+')})" if number % 2 else re.escape(part)
        for number, part in enumerate(parts)
    )
    return re.compile(text)


def _product(**axes: Iterable[str | int]) -> Iterator[Names]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _episodes(config: Config, scope: Scope) -> Iterator[Names]:
    policies = dict.fromkeys(
        config.playing_policy(policy, protocol)
        for policy, protocol in itertools.product(config.policies, scope.methods)
    )
    return _product(policy=policies, purpose=PURPOSES, game=config.games, seed=config.seeds)


def _splits(config: Config, scope: Scope) -> Iterator[Names]:
    return _product(
        policy=config.policies,
        protocol=dict.fromkeys(map(config.derived.split_protocol, scope.methods)),
        game=config.games,
        seed=config.seeds,
        purpose=PURPOSES,
    )


def _by_method(config: Config, scope: Scope, method: str) -> Iterator[Names]:
    """Every policy, protocol that has the method, game and seed."""
    protocols = [name for name, methods in scope.methods.items() if method in methods]
    names = _product(
        method=[method],
        policy=config.policies,
        protocol=protocols,
        game=config.games,
        seed=config.seeds,
    )
    for one in names:
        if not config.derived.is_base(str(one["policy"]), str(one["protocol"])):
            yield one


def _encoders(config: Config, scope: Scope) -> Iterator[Names]:
    for method, row in config.methods.items():
        for names in _by_method(config, scope, method) if row.has_encoder else ():
            protocol = str(names["protocol"])
            # Some runs of a study use the encoders of their base.
            if config.derived.encoder_protocol(protocol, row) == protocol:
                yield names


def _examples(config: Config, scope: Scope) -> Iterator[Names]:
    """The first policy, protocol and seed stand for all."""
    return _product(
        policy=list(config.policies)[:1],
        protocol=list(config.protocols)[:1],
        method=[name for name, row in config.methods.items() if row.decodes is not None],
        game=config.games,
        seed=config.seeds[:1],
    )


def _probes(config: Config, scope: Scope) -> Iterator[Names]:
    for method, row in config.methods.items():
        probes = row.probe_names(config.probe.kinds)
        # Studies compare what the tables show: the first probe.
        for probe in probes[:1] if scope.is_study else probes:
            for names in _by_method(config, scope, method):
                yield names | {"probe": probe}


def _attributions(config: Config, scope: Scope) -> Iterator[Names]:
    """The encoders that linear probes read; the first policy, protocol and seed stand for all."""
    return _product(
        policy=list(config.policies)[:1],
        protocol=list(config.protocols)[:1],
        method=[
            name
            for name, row in config.methods.items()
            if row.has_encoder and row.probe_names(["linear"]) == ["linear"]
        ],
        game=config.games,
        seed=config.seeds[:1],
    )


def _agents(config: Config, scope: Scope) -> Iterator[Names]:
    """Every agent, game that it plays and seed."""
    for agent, row in scope.agents.items():
        yield from _product(agent=[agent], game=row.games(config.games), seed=config.seeds)


def _weights(config: Config, scope: Scope) -> Iterator[Names]:
    for names in _agents(config, scope):
        for weights in scope.agents[str(names["agent"])].kept:
            yield names | {"weights": weights}


def _films(config: Config, scope: Scope) -> Iterator[Names]:
    """Of the first seed, the last weights and the best."""
    for names in _agents(config, scope):
        row = scope.agents[str(names["agent"])]
        if row.can_be_filmed and names["seed"] == config.seeds[0]:
            yield from (names | {"weights": weights} for weights in ("last", "best"))


def _games(config: Config, scope: Scope) -> Iterator[Names]:
    return _product(game=config.games)


def _studies(config: Config, scope: Scope) -> Iterator[Names]:
    return _product(study=config.studies)


def _of_exhibit(one: catalogue.Exhibit, ending: str) -> Artifact:
    """An exhibit's files with one extension, as an artifact."""

    def axes(config: Config, scope: Scope) -> Iterator[Names]:
        pattern = _pattern(one.path + ending)
        for file in one.files(config, [ending]):
            match = pattern.fullmatch(file)
            assert match is not None, file
            yield dict(match.groupdict())

    return Artifact(catalogue.FOLDERS[one.kind], one.path + ending, axes, one.when)


EPISODES = Artifact(
    "episodes",
    "results/episodes/{policy}/{purpose}/{game}-s{seed}.b2nd",
    _episodes,
    in_studies=True,
)
SPLITS = Artifact(
    "splits",
    "results/splits/{policy}/{protocol}/{purpose}/{game}-s{seed}.safetensors",
    _splits,
    in_studies=True,
)
ENCODERS = Artifact(
    "encoders",
    "results/encoders/{policy}/{protocol}/{method}/{game}-s{seed}.safetensors",
    _encoders,
    in_studies=True,
)
HISTORIES = Artifact(
    "encoders",
    "results/encoders/{policy}/{protocol}/{method}/{game}-s{seed}.csv",
    _encoders,
    in_studies=True,
)
EXAMPLES = Artifact(
    "examples",
    "results/examples/{policy}/{protocol}/{method}/{game}-s{seed}.safetensors",
    _examples,
)
AGENTS = Artifact(
    "agents",
    "results/agents/{agent}/{game}-s{seed}/{weights}.safetensors",
    _weights,
    in_studies=True,
)
AGENT_HISTORIES = Artifact(
    "agents", "results/agents/{agent}/{game}-s{seed}/history.csv", _agents, in_studies=True
)
EVALUATIONS = Artifact(
    "evaluations", "results/evaluations/{agent}/{game}-s{seed}.csv", _agents, in_studies=True
)
RECORDINGS = Artifact(
    "recordings", "results/recordings/{agent}/{game}-s{seed}/{weights}.safetensors", _films
)
FILMS = Artifact("films", "results/films/{agent}/{game}-s{seed}/{weights}.gif", _films)
PROBES = Artifact(
    "probes",
    "results/probes/{policy}/{protocol}/{method}/{probe}/{game}-s{seed}.json",
    _probes,
    in_studies=True,
)
# Beside it: what it reads in one test episode.
PREDICTIONS = Artifact(
    "probes",
    "results/probes/{policy}/{protocol}/{method}/{probe}/{game}-s{seed}.safetensors",
    _probes,
    in_studies=True,
)
# Made when asked for, by `snakemake saliency`: not part of a run.
ATTRIBUTIONS = Artifact(
    "attributions",
    "results/saliency/{policy}/{protocol}/{method}/{game}-s{seed}.safetensors",
    _attributions,
)
SCORES = Artifact("scores", "results/scores.csv")
METRICS = Artifact("metrics", "results/metrics.json")
STUDY_SCORES = Artifact("scores", "results/{study}.csv", _studies)
MEASURED = Artifact("audit", "results/audit/measured/{game}.safetensors", _games)
PAGE = Artifact("report", "results/report.html")

ARTIFACTS: tuple[Artifact, ...] = (
    EPISODES,
    SPLITS,
    ENCODERS,
    HISTORIES,
    EXAMPLES,
    PROBES,
    PREDICTIONS,
    AGENTS,
    AGENT_HISTORIES,
    EVALUATIONS,
    RECORDINGS,
    FILMS,
    SCORES,
    METRICS,
    STUDY_SCORES,
    MEASURED,
    *(_of_exhibit(one, ending) for one in catalogue.EXHIBITS for ending in one.endings),
    PAGE,
)


def everything(config: Config) -> list[str]:
    """Every file of a run with its studies, in data-flow order."""
    found = [file for artifact in ARTIFACTS for file in artifact.all_files(config)]
    return list(dict.fromkeys(found))


def folders(config: Config) -> dict[str, list[str]]:
    """{folder: its files} for artifacts that are grouped by folder, in data-flow order."""
    found: dict[str, list[str]] = {}
    for artifact in ARTIFACTS:
        for file in artifact.all_files(config) if artifact.has_folder else ():
            found.setdefault(file.rpartition("/")[0], []).append(file)
    return found


def find(file: str) -> tuple[Artifact, dict[str, str]] | None:
    """The artifact that a file belongs to, with the values of its wildcards; None for no file."""
    for artifact in ARTIFACTS:
        names = artifact.parse(file)
        if names is not None:
            return artifact, names
    return None


def check_names(path: Path, header: Mapping[str, Any]) -> None:
    """`UserError` for a file of a run whose header says that it was made as another one."""
    found = find(place(path))
    for name, value in found[1].items() if found else ():
        if name in header and str(header[name]) != value:
            raise UserError(
                f"{path} was made with {name} {header[name]}, not {value}: delete it and make it "
                "again"
            )


def step_of(path: str) -> str:
    """The step that makes a file or the files of a folder, such as ``episodes`` or ``tables``."""
    found = find(path)
    return found[0].step if found else path.removeprefix("results/").split("/")[0]


def game_of(file: str) -> str | None:
    """The game that a file is about, or None if it is about all games."""
    found = find(file)
    return found[1].get("game") if found else None


def readings(config: Config, game: str) -> dict[str, list[str]]:
    """The frames and predictions of a game's animation: the first of policies, protocols, seeds.

    Of each method's first probe.
    """
    policy, protocol = next(iter(config.policies)), next(iter(config.protocols))
    played = config.playing_policy(policy, protocol)
    which = {"policy": policy, "protocol": protocol, "game": game, "seed": config.seeds[0]}
    predictions = [
        PREDICTIONS.path.format(
            **which, method=method, probe=row.probe_names(config.probe.kinds)[0]
        )
        for method, row in config.methods.items()
    ]
    frames = EPISODES.path.format(**which | {"policy": played, "purpose": "probe"})
    return {"frames": [frames], "predictions": predictions}


def audited(config: Config, game: str) -> str:
    """The frames on which a game's labels are audited: the first policy, protocol and seed."""
    policy = config.playing_policy(next(iter(config.policies)), next(iter(config.protocols)))
    return EPISODES.path.format(policy=policy, purpose="probe", game=game, seed=config.seeds[0])
