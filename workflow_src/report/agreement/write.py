"""Write the tables and the figure of the agreement with the published numbers."""

from pathlib import Path

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.report.data import read_data
from workflow_src.report.writing import write_exhibits


def write_agreement(
    config: Config, scores: Path, reference: Path, out_tables: Path, out_figures: Path
) -> str:
    """Write them into their folders; returns the one number of it as a line.

    `UserError` when nothing of the run was published, or when files are missing; then nothing is
    written.
    """
    of_run = [one for one in catalogue.select(source="agreement") if one.when(config)]
    if not any(one.key == "agreement" for one in of_run):
        raise UserError(
            "nothing of this run was published: it needs label set paper-2019, and a random agent "
            "or one that learned by PPO"
        )
    data = read_data(scores, reference)
    tables = write_exhibits(config, of_run, data, out_tables, out_figures)
    found = tables["agreement"]
    lines = [
        f"{row.near:.0%} of {row.values_} values within 0.05, mean difference {row.mean:+.3f} "
        f"({row.policy}, {row.protocol})"
        for row in found[found["method"] == "all"]
        .rename(columns={"values": "values_"})
        .itertuples()
    ]
    return "\n".join(lines)
