"""The ledger of quirks: what each switch of the 2019 code is worth in F1, as table and figure.

The base protocol is compared with itself with one quirk at a time set as in the target, encoders
and probes made with the same seeds. Its scores are a file of their own, in the format of
scores.csv.
"""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from workflow_src.config.protocols import QUIRKS
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.report import aggregate, figures, latex, style, tables
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.names import method_name, setting_text
from workflow_src.report.scores import read_scores

LEDGER = "ledger"


def write_ledger(config: Config, scores: Path, out_tables: Path, out_figures: Path) -> None:
    """Write the table (CSV, LaTeX) and the figure (PDF, PNG) into their folders; ``scores`` has base and variants.

    `UserError` when the configuration has no ledger or its base and target do not differ, or when
    scores are missing.
    """
    if not config.derived.ledger.variants:
        why = (
            "has no ledger"
            if config.ledger is None
            else "has a ledger whose base and target are the same"
        )
        raise UserError(f"the configuration {why}: name a base and a target that differ in a quirk")
    table = quirks(config, read_scores(scores))
    tables.write(table, latex_quirks(config, table), out_tables / LEDGER)
    style.save(differences(config, table), out_figures / LEDGER)


def quirks(config: Config, scores: pd.DataFrame) -> pd.DataFrame:
    """F1 (mean over categories and seeds) of base and variant. One row per (policy, quirk, method, game), ``mean`` the last.

    Columns: policy, quirk, protocol (the variant's name), switches, method, game, base, variant,
    difference (variant less base), difference_std (over seeds, empty of a single one).
    """
    base = config.ledger.base
    run = _run(config)
    every = aggregate.of_study(run, scores, "the ledger").reindex(
        aggregate.blocks(run, game=[*run.games, MEAN])
    )
    parts = {block: part.droplevel(BLOCK) for block, part in every.groupby(BLOCK)}
    rows = []
    for policy in config.policies:
        before = parts[policy, base]
        for variant in config.derived.ledger.variants:
            after = parts[policy, variant.protocol]
            difference, spread = aggregate.over_seeds(after - before)
            columns = {
                "base": aggregate.over_seeds(before)[0],
                "variant": aggregate.over_seeds(after)[0],
                "difference": difference,
                "difference_std": spread,
            }
            for method in run.methods:
                about = {"policy": policy, "quirk": variant.quirk, "protocol": variant.protocol}
                about |= {
                    "switches": ", ".join(_switches(variant.changed)),
                    "method": method,
                    "game": before.index,
                }
                rows.append(
                    pd.DataFrame(
                        about | {name: part[method].to_numpy() for name, part in columns.items()}
                    )
                )
    return pd.concat(rows, ignore_index=True)


def _run(config: Config) -> Config:
    """The ledger as a run of its own, whose protocols are the base and its variants."""
    protocols = {config.ledger.base: config.protocols[config.ledger.base]}
    protocols |= {variant.protocol: variant.row for variant in config.derived.ledger.variants}
    methods = {method: config.methods[method] for method in config.ledger.methods}
    return config.model_copy(update={"protocols": protocols, "methods": methods})


def _switches(changed: set[tuple[str, str]]) -> list[str]:
    """Name the switches; Q6 and Q7 have one of the same name for encoders and for probes, named once."""
    return sorted({name for _, name in changed})


def latex_quirks(config: Config, table: pd.DataFrame) -> str:
    """The means of the ledger as LaTeX; the caption names the quirks that it does not test."""
    base, target = config.ledger.base, config.ledger.target
    run = _run(config)
    caption = (
        f"What each quirk of the 2019 code is worth: probe F1 (mean over categories, games and seeds) of protocol {base}, of "
        f"the same with one quirk set as in {target}, and their difference. {_untested(config)}"
        + tables.setting(run.model_copy(update={"protocols": {base: run.protocols[base]}}))
    )
    means = table[table["game"] == MEAN]
    parts = []
    for policy, rows in means.groupby("policy", sort=False):
        # A quirk is named in its first row alone.
        repeated = rows.duplicated("quirk")
        body = pd.DataFrame(
            {
                "quirk": rows["quirk"].mask(repeated, ""),
                "switches": rows["switches"].mask(repeated, ""),
                "method": rows["method"].map(method_name),
                "base": rows["base"].map("{:.3f}".format),
                "variant": rows["variant"].map("{:.3f}".format),
                "difference": [*map(_difference, rows["difference"], rows["difference_std"])],
            }
        )
        parts.append(latex.Part(f"Policy {policy}", body.to_numpy().tolist(), []))
    header = ["Quirk", "Switches", "Method", f"F1, {base}", "F1, quirk changed", "Difference"]
    return latex.table(LEDGER, caption, header, parts, left=3)


def _difference(difference: float, spread: float) -> str:
    shown = f"{difference:+.3f}".replace("-", "−")
    return shown if pd.isna(spread) else f"{shown}±{spread:.3f}"


def _untested(config: Config) -> str:
    """Name the quirks in which base and target agree, and the setting that they share."""
    row = config.protocols[config.ledger.base].model_dump()
    tested = {variant.quirk for variant in config.derived.ledger.variants}
    same = []
    for quirk, switches in QUIRKS.items():
        settings = dict.fromkeys(
            f"{name} {setting_text(row[section][name])}" for section, name in switches
        )
        same += [] if quirk in tested else [f"{quirk} ({', '.join(settings)})"]
    return (
        f"Not tested, because both protocols have the same setting: {', '.join(same)}. "
        if same
        else ""
    )


def differences(config: Config, table: pd.DataFrame) -> Figure:
    """The differences by quirk, a colour for a method, a panel for a policy; lines are a standard deviation over seeds."""
    means = table[table["game"] == MEAN]
    means = means.assign(
        low=means["difference"] - means["difference_std"],
        high=means["difference"] + means["difference_std"],
    )
    parts = dict(iter(means.groupby(["policy", "method"])))
    panels = [
        (policy, [(method_name(method), parts[policy, method]) for method in config.ledger.methods])
        for policy in config.policies
    ]
    spread = "mean ± standard deviation of" if len(config.seeds) > 1 else ""
    seeds = f"{len(config.seeds)} seeds" if len(config.seeds) > 1 else "one seed"
    games = f"{len(config.games)} games" if len(config.games) > 1 else "one game"
    names = [
        f"{variant.quirk} " + ",\n".join(_switches(variant.changed))
        for variant in config.derived.ledger.variants
    ]
    base = config.ledger.base
    below = f"F1 with the quirk set as in {config.ledger.target}, less F1 of {base}\n({games}, {spread} {seeds})"
    figure = figures.points(panels, names, below.replace("  ", " "), centre="difference")
    for axes in figure.axes:
        axes.axvline(0, color="black", linewidth=0.6, zorder=0.5)
    return figure
