"""Auditing labels: what the annotated RAM bytes are, from recorded frames and by writing them in the emulator.

`measure` makes one file of measurements a game, from what `recorded` finds in frames and `emulator`
by writing; `measured` reads it, and `verdict` says what follows for a variable.
"""
