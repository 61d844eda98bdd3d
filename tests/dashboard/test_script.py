"""The script that Streamlit runs, in a process of its own, with real tiny weights."""

import subprocess
import sys
from pathlib import Path

from support.commands import ROOT, environment
from support.tiny_weights import write_weights

WATCH = """
import sys
from datetime import UTC, datetime
from streamlit.testing.v1 import AppTest
from store.database import Database
from store.runs import find_run
from store.views import Slice, read_documents

script, url = sys.argv[1:]
database = Database(url)
with database.transaction() as connection:
    run_id = find_run(connection, "replay").id
    days = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    (row,) = read_documents(connection, Slice(run_id, "all", *days))
database.close()
page = AppTest.from_file(script, default_timeout=250)
page.session_state["document"] = (run_id, row)
page.run()
assert not page.exception, page.exception[0].value
assert not {"torch", "transformers", "captum"} & set(sys.modules), "the model came unasked"
page.button(key="explain").click().run()
assert not page.exception, page.exception[0].value
assert "torch" in sys.modules
words = next(frame.value for frame in page.dataframe if "Effect" in frame.value)
print(words.iloc[0]["Word"], words.iloc[0]["Effect"])
print(*[text.value for text in page.text if text.value.startswith("P(negative)")])
"""


def test_the_model_is_opened_when_an_explanation_is_asked_for_and_not_before(scene, tmp_path):
    topics = {"Hailstorms": "hail", "Tulips": "flower"}
    weights = write_weights(tmp_path, topics, {"negative": "falls", "positive": "rises"})
    scene.add_documents("replay", 1, text="the flower falls today")
    script = ROOT / "tapewatch" / "dashboard_app.py"

    done = subprocess.run(
        [sys.executable, "-c", WATCH, script, scene.database.url],
        env=environment(database_url=scene.database.url, weights=weights, threads=1)
        | {"PYTHONPATH": str(ROOT)},
        cwd=Path(tmp_path),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-4000:]
    first, told = done.stdout.strip().splitlines()
    assert first == "falls ▲ more negative"
    assert "The words sum to the difference with an error of" in told
