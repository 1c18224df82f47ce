"""paper.pdf: a short paper of a run; every number, table and figure comes from files of the run.

The template (templates/paper.tex.jinja) has the words and no numbers. `facts` computes what the
scores say, `settings` what was run; `exhibits` collects tables and figures by section;
`method_pages` reads what a method does from docs/methods; `write` fills the template, and `typeset`
runs LaTeX. Sentences about what a run does not have are left out.
"""
