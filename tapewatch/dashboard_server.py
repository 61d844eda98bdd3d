"""Streamlit's own command line, with what is slow to import there before the first reader comes.

Streamlit imports a script when somebody opens it. Modules that keep answers are left to it: what
they keep belongs to a server that runs already.
"""

import altair as alt  # noqa: F401
import pandas as pd  # noqa: F401
import pyarrow as pa  # noqa: F401
from streamlit.web.cli import main

import tapewatch.lineup
import tapewatch.login
import tapewatch.requeueing
import tapewatch.wiring  # noqa: F401

if __name__ == "__main__":
    main(prog_name="streamlit")
