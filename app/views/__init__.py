"""One file for each page, with one function ``render``.

The folder must not be called ``pages``: Streamlit would take every file in it for a page of its own.
"""
