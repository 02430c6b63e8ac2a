"""The least that Streamlit can show, to hold the pages against: nothing, or one chart of one point.

``streamlit run reference_pages.py``; ``?type=bar`` draws a chart with one trace of that type.
"""

import streamlit as st

st.title("Reference", anchor=False)
kind = st.query_params.get("type")
if kind:
    values = {"z": [[1]]} if kind == "heatmap" else {"y": [1]}
    st.plotly_chart({"data": [{"type": kind, "x": ["a"], **values}], "layout": {}}, key="point")
