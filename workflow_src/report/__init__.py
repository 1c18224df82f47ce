"""From the probes' JSON files to scores, tables, figures, the page and the paper.

- `scores` collects every metric of every probe in one tidy CSV; `data` hands it, with the published
  numbers, to all tables and figures; `aggregate` averages it over games and seeds. Nothing else
  averages, so a table and a figure cannot disagree.
- `names`: how identifiers read. `latex`: a table as LaTeX.
- `tables/`, `figures/`: one file for each table and figure, made through `write` of its folder.
- `studies/`: tables and figures of the ledger and of scaling, from scores of their own.
- `audit/`: tables and pictures of what `workflow_src.audit` measured.
- `page/`: report.html. `paper/`: paper.pdf.

Which tables and figures there are is declared in `workflow_src.catalogue`, and nowhere else.
"""
