"""From the probes' JSON files to scores, tables and figures.

`scores` gathers every metric of every probe in one tidy CSV; `aggregate` averages it over games and seeds; `tables`,
`figures` and `ledger` show that. Nothing is averaged in the showing parts, so a table and a figure cannot disagree. `curves`
and `reconstructions` show how encoders learned and what they draw. `paper` sets it all in one document with words, from the
methods' `pages`, and `typeset` runs LaTeX.
"""
