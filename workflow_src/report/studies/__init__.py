"""Tables and figures of the studies: runs that differ from a protocol in one thing.

A study has scores of its own, in the format of scores.csv. One file for each study, with ``table``,
``latex`` and ``figure`` as in `report.tables` and `report.figures`; `write` finds it by the
catalogue.
"""
