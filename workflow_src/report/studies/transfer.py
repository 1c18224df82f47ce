"""Transfer: encoders that learned from one policy's frames, probed on another's.

Each encoder of the base protocol is probed on the frames of every policy, with the same splits and
seeds. A row in which both are the same policy is a score of the run itself.
"""

import pandas as pd
from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.data import Data
from workflow_src.report.figures.points import points
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import listed, method_name
from workflow_src.report.tables.captions import how_made
from workflow_src.report.tables.rendering import score_text


def table(config: Config, data: Data) -> pd.DataFrame:
    """F1 (mean over categories and seeds) by the policies that were learned from and probed on.

    One row for each (method, game, trained_on, probed_on), ``mean`` the last game. Columns: these,
    f1, f1_std (over seeds, empty with a single one), difference (to the encoder that learned from
    the frames of the policy that it is probed on) and difference_std. `UserError` if a game or
    seed is missing.
    """
    games = aggregate.by_game(_as_run(config), data.scores)
    _check_complete(config, games)
    scores = aggregate.with_mean(games)
    rows = []
    for method in config.derived.transfer.methods:
        for game in [*config.games, MEAN]:
            for policy in config.policies:
                own = scores.loc[(*_protocol(config, policy, policy), game), method]
                for source in config.policies:
                    found = scores.loc[(*_protocol(config, source, policy), game), method]
                    difference = found - own
                    rows.append(
                        {
                            "method": method,
                            "game": game,
                            "trained_on": source,
                            "probed_on": policy,
                            "f1": found.mean(),
                            "f1_std": found.std(),
                            "difference": difference.mean(),
                            "difference_std": difference.std(),
                        }
                    )
    return pd.DataFrame(rows)


def _protocol(config: Config, source: str, policy: str) -> tuple[str, str]:
    """The rows (policy, protocol) of the encoders of ``source`` on the frames of ``policy``."""
    study = config.derived.transfer
    if source == policy:
        return policy, study.base
    return policy, next(name for name, one in study.sources.items() if one == source)


def _as_run(config: Config) -> Config:
    """The study as a run of its own, whose protocols are its base and one for each policy."""
    study = config.derived.transfer
    methods = {method: config.methods[method] for method in study.methods}
    protocols = {study.base: study.row, **study.derived}
    return config.model_copy(update={"protocols": protocols, "methods": methods})


def _check_complete(config: Config, games: pd.DataFrame) -> None:
    missing, parts = [], {block: part.droplevel(BLOCK) for block, part in games.groupby(BLOCK)}
    for policy in config.policies:
        for source in config.policies:
            for game, row in parts[_protocol(config, source, policy)].iterrows():
                for method, seed in row.index[row.isna()]:
                    missing.append(f"{method}/{game}/seed {seed} (of {source}, on {policy})")
    if missing:
        raise UserError(
            "the transfer study needs every game and seed of its runs: "
            f"run the missing probes, {listed(missing)}"
        )


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX: a column for each pair of policies."""
    study = config.derived.transfer
    alone = {"protocols": {study.base: config.protocols[study.base]}}
    caption = (
        f"Probe F1 (mean over categories) of protocol {study.base} by the policy whose frames the "
        "encoder learned from, and the one whose frames it is probed on. "
        f"{how_made(_as_run(config).model_copy(update=alone))}"
    )
    pairs = table[["trained_on", "probed_on"]].drop_duplicates().itertuples(index=False)
    header = ["Game", *(f"{source}, on {policy}" for source, policy in pairs)]
    parts = []
    for method, rows in table.groupby("method", sort=False):
        lines = []
        for game, of_game in rows.groupby("game", sort=False):
            cells = map(score_text, of_game["f1"], of_game["f1_std"])
            lines.append(["Mean" if game == MEAN else str(game), *cells])
        parts.append(Part(method_name(method), lines[:-1], lines[-1:]))
    return typeset("transfer", caption, header, parts)


def figure(config: Config, data: Data) -> Figure:
    """F1 by game, a panel for each policy that is probed on and a colour for each learned from.

    Lines are one standard deviation over seeds.
    """
    study = config.derived.transfer
    found = table(config, data)
    found = found.assign(low=found["f1"] - found["f1_std"], high=found["f1"] + found["f1_std"])
    names = ["mean" if game == MEAN else game for game in found["game"].unique()]
    panels = []
    for method in study.methods:
        for policy in config.policies:
            rows = found[(found["method"] == method) & (found["probed_on"] == policy)]
            series = [
                (f"learned from {source}", rows[rows["trained_on"] == source])
                for source in config.policies
            ]
            panels.append((f"{method_name(method)}, probed on {policy}", series))
    return points(panels, names, "F1", centre="f1")
