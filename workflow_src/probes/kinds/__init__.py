"""Kinds of probes: one file for each, named after its kind, and nothing else.

A file has a function ``fit`` as `probes.fitting.Fit` describes, and may declare these literals,
which the configuration reads without importing it:

- ``NAME``: how tables call it;
- ``OPTIONS``: its settings with their defaults, set under ``probe.options``;
- ``GRADIENT_DESCENT``: False where the optimizer's settings and the device do not matter.
"""
