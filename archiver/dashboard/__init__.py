"""The dashboard: a local web application over the catalogue of a store, by Streamlit and Plotly.

- `serving`: starts it, on loopback.
- `app`: what Streamlit runs; one module for each page (`runs_page`, `run_page`, `compare_page`, `ensembles_page`).
- `figures`: the charts, from rows; they know nothing of Streamlit.
- `texts`: text from archives on a page, always escaped.
- `reports`: the report of a run as a page that runs nothing of a stranger's.
- `static`: the table of runs and the reports as plain files.
"""
