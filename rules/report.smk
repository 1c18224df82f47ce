# Showing: scores, tables, figures.
