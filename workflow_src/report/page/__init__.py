"""report.html: a whole run as one file to explore, which needs no network.

`write` fills the template with the files that the page shows (`files`), with summaries of splits,
trainings and scores (`summaries`), with what was run (`settings`) and on which machine (`machine`).
`cells` lays tables out.
"""
