"""The label audit, shown: what `workflow_src.audit` measured of the annotated RAM bytes.

`variables` makes the table of one game, `picture` draws it, `frame_sheets` shows frames with their
labels, `summary` counts the verdicts of all games.
"""
