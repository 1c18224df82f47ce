"""Tables from our scores: one file for each, which `write` finds by the catalogue.

A file has two functions. ``table(config, data)`` makes the DataFrame of the CSV; ``latex(config,
table)`` shows this DataFrame as LaTeX (booktabs, graphicx, T1). Both also take the entry's
``options``, and ``game`` if there is a table for each game. The CSV has six decimals, and is empty
where there is no value; two decimals, the dash and bold type are for display.

The columns of a method are ``{method}``, ``{method}_std`` with several seeds, ``{method}_paper``
(the published value) and ``{method}_difference`` (ours minus the published): `columns` makes them,
`rendering` shows them, `captions` says how they were made.
"""
