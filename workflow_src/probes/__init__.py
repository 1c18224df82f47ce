"""Reading out: classifiers of each state variable on frozen features, baselines, metrics."""
