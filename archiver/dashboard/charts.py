"""Charts on a page."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st


def chart(figure: go.Figure | None, key: str) -> bool:
    """Show a chart, where there is one; whether there was."""
    if figure is None:
        return False
    title = str(figure.layout.title.text)
    st.plotly_chart(figure, key=key, alt=title, config={"displaylogo": False})
    return True


def table(frame: pd.DataFrame, title: str, **options: Any) -> None:
    """The numbers behind charts, for whoever cannot see these."""
    with st.expander(title):
        st.dataframe(frame, hide_index=True, alt=title, **options)
