"""The ledger of quirks: what each switch of the 2019 code is worth in F1.

The base protocol is compared with itself with one quirk changed to the target's setting. Encoders
and probes have the same seeds.
"""

import pandas as pd
from matplotlib.figure import Figure

from workflow_src.config.protocols import QUIRKS
from workflow_src.config.run import Config
from workflow_src.config.studies import LedgerStudy, Variant
from workflow_src.errors import UserError
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.data import Data
from workflow_src.report.figures.points import points
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import method_name, setting_text
from workflow_src.report.tables.captions import how_made


def table(config: Config, data: Data) -> pd.DataFrame:
    """F1 (mean over categories and seeds) of the base and of each variant.

    One row for each (policy, quirk, method, game), ``mean`` the last game. Columns: policy, quirk,
    protocol (the variant's name), switches, method, game, base, variant, difference (variant minus
    base), difference_std (over seeds, empty with a single one).
    """
    study = _study(config)
    run = _as_run(config)
    scores = aggregate.of_study(run, data.scores, "the ledger")
    scores = scores.reindex(aggregate.blocks(run, game=[*run.games, MEAN]))
    parts = {block: part.droplevel(BLOCK) for block, part in scores.groupby(BLOCK)}
    rows = []
    for policy in config.policies:
        for variant in study.variants:
            before, after = parts[policy, study.base], parts[policy, variant.protocol]
            difference, spread = aggregate.over_seeds(after - before)
            values = {
                "base": aggregate.over_seeds(before)[0],
                "variant": aggregate.over_seeds(after)[0],
                "difference": difference,
                "difference_std": spread,
            }
            for method in run.methods:
                names = {"policy": policy, "quirk": variant.quirk, "protocol": variant.protocol}
                names |= {"switches": ", ".join(_switches(variant)), "method": method}
                columns = {name: part[method].to_numpy() for name, part in values.items()}
                rows.append(pd.DataFrame({**names, "game": before.index, **columns}))
    return pd.concat(rows, ignore_index=True)


def _study(config: Config) -> LedgerStudy:
    """The runs of the ledger; `UserError` if there is nothing to compare."""
    study = config.derived.ledger
    if not study.variants:
        raise UserError(
            "the base and target of the ledger have the same quirks: "
            "name a base and a target that differ"
        )
    return study


def _as_run(config: Config) -> Config:
    """The ledger as a run of its own, whose protocols are the base and its variants."""
    study = _study(config)
    protocols = {study.base: config.protocols[study.base], **study.derived}
    methods = {method: config.methods[method] for method in study.methods}
    return config.model_copy(update={"protocols": protocols, "methods": methods})


def _switches(variant: Variant) -> list[str]:
    """The names of the switches; Q6 and Q7 have one name for encoders and probes, listed once."""
    return sorted({name for _, name in variant.changed})


def latex(config: Config, table: pd.DataFrame) -> str:
    """The means as LaTeX; the caption names the quirks that are not tested."""
    study = _study(config)
    base, target = study.base, study.target
    run = _as_run(config)
    base_alone = run.model_copy(update={"protocols": {base: run.protocols[base]}})
    caption = (
        "What each quirk of the 2019 code is worth: probe F1 (mean over categories, games and "
        f"seeds) of protocol {base}, of the same with one quirk set as in {target}, and their "
        f"difference. {_untested(config)}{how_made(base_alone)}"
    )
    parts = []
    for policy, rows in table[table["game"] == MEAN].groupby("policy", sort=False):
        repeated = rows.duplicated("quirk")  # named in its first row only
        columns = {
            "quirk": rows["quirk"].mask(repeated, ""),
            "switches": rows["switches"].mask(repeated, ""),
            "method": rows["method"].map(method_name),
            "base": rows["base"].map("{:.3f}".format),
            "variant": rows["variant"].map("{:.3f}".format),
            "difference": [*map(_difference, rows["difference"], rows["difference_std"])],
        }
        body = pd.DataFrame(columns).to_numpy().tolist()
        parts.append(Part(f"Policy {policy}", body, []))
    header = ["Quirk", "Switches", "Method", f"F1, {base}", "F1, quirk changed", "Difference"]
    return typeset("ledger", caption, header, parts, left=3)


def _difference(difference: float, spread: float) -> str:
    shown = f"{difference:+.3f}".replace("-", "−")
    return shown if pd.isna(spread) else f"{shown}±{spread:.3f}"


def _untested(config: Config) -> str:
    """Name the quirks in which base and target agree, and the setting that they share."""
    study = _study(config)
    row = config.protocols[study.base].model_dump()
    tested = {variant.quirk for variant in study.variants}
    same = []
    for quirk, switches in QUIRKS.items():
        if quirk not in tested:
            settings = [f"{name} {setting_text(row[section][name])}" for section, name in switches]
            same.append(f"{quirk} ({', '.join(dict.fromkeys(settings))})")
    if not same:
        return ""
    return f"Not tested, because both protocols have the same setting: {', '.join(same)}. "


def figure(config: Config, data: Data) -> Figure:
    """The differences by quirk, a colour for each method, a panel for each policy.

    Lines are one standard deviation over seeds.
    """
    study = _study(config)
    rows = table(config, data)
    means = rows[rows["game"] == MEAN]
    means = means.assign(
        low=means["difference"] - means["difference_std"],
        high=means["difference"] + means["difference_std"],
    )
    parts = dict(iter(means.groupby(["policy", "method"])))
    panels = [
        (policy, [(method_name(method), parts[policy, method]) for method in study.methods])
        for policy in config.policies
    ]
    names = [f"{one.quirk} " + ",\n".join(_switches(one)) for one in study.variants]
    figure = points(panels, names, _below(config, study), centre="difference")
    for axes in figure.axes:
        axes.axvline(0, color="black", linewidth=0.6, zorder=0.5)
    return figure


def _below(config: Config, study: LedgerStudy) -> str:
    """The label below the figure: what is compared, and over how many games and seeds."""
    seeds = "one seed"
    if len(config.seeds) > 1:
        seeds = f"mean ± standard deviation of {len(config.seeds)} seeds"
    games = f"{len(config.games)} games" if len(config.games) > 1 else "one game"
    compared = f"F1 with the quirk set as in {study.target}, less F1 of {study.base}"
    return f"{compared}\n({games}, {seeds})"
