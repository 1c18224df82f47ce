"""Reading out: a linear classifier for each state variable on frozen features, baselines, metrics."""
