"""From the probes' JSON files to scores, tables and figures.

`scores` gathers every metric of every probe in one tidy CSV; `aggregate` averages it over games and seeds; `tables` and
`figures` show that. Nothing is computed in the showing parts, so a table and a figure cannot disagree.
"""
