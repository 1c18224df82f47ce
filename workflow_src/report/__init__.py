"""From the probes' JSON files to scores, tables, figures, the page and the paper.

`scores` gathers every metric of every probe in one tidy CSV; `aggregate` averages it over games and
seeds; `tables`, `figures`, `ledger` and `scaling` show that. Nothing is averaged in the showing
parts, so a table and a figure cannot disagree. `curves` and `reconstructions` show how encoders
learned and what they draw; `audit`, `frames` and `audit_summary` what `workflow_src.audit`
measured. `page`, with tables laid out by `cells`, makes report.html of all that. `paper` sets it in
a document with words, for which `method_pages` reads docs/methods, and `typeset` runs LaTeX.
"""
