"""F1 by category of variables and method, as a heat map."""

from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.data import Data
from workflow_src.report.figures.heat_map import heat_map
from workflow_src.report.names import CATEGORY_NAMES


def figure(config: Config, data: Data) -> Figure:
    """A row for each category, a column for each method."""
    mean, _ = aggregate.over_seeds(aggregate.by_category(config, data.scores))
    return heat_map(config, mean, list(CATEGORY_NAMES.values()))
