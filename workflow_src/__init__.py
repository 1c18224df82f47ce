"""AtariARI, the benchmark of state representations in Atari, as a reproducible workflow.

Source: arXiv 1906.08226.
"""

__version__ = "0.1.0"
