"""AtariARI: the benchmark of state representations in Atari (arXiv 1906.08226) as a reproducible workflow."""

__version__ = "0.1.0"
