"""The command line: each command parses its options, calls one function, and nothing else.

`runs` and `versioning` hold the commands that people use, `steps` and `report` those that the
rules call. All settings come from the run's ``config.yaml`` (``--config``, by default the one in
the current directory), so that Snakemake and DVC see the same; options only say which files, and
for which game, policy, protocol, method and seed. ``--help`` loads neither torch nor pandas.
"""
