"""The typed model of ``config.yaml``, a module for each section: nothing else knows keys.

The model is closed and strict: an unknown key, a number out of range or a number read as text is
refused with the key's full path and what would be allowed. ``run.Config.load`` is called before any
job starts. Steps receive their own sections as values; only what composes steps knows `run`.
"""
