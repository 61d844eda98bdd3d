"""A little CSS of our own. It holds no data, and no colour but the palette's."""

from dataclasses import asdict
from string import Template

import streamlit as st

from dashboard.common.theme import Palette

_STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding: 4.6rem 2rem 3rem; max-width: 1500px; }
[data-testid="stMainBlockContainer"] h1 {
  font-size: 1.9rem; padding: 0 0 0.35rem; white-space: nowrap;
}
[data-testid="stMainBlockContainer"] h2 { font-size: 1.25rem; padding: 0.6rem 0 0.3rem; }
[data-testid="stText"] { white-space: pre-wrap; overflow-wrap: anywhere; }
.st-key-header { margin-bottom: 0.5rem; }
.st-key-status {
  display: grid; gap: 0.75rem; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
}
.st-key-status [data-testid="stMetric"] { padding: 0; }
.st-key-status [data-testid="stMetric"] > div { padding: 0.8rem 1rem; }
.st-key-status [data-testid="stMetricValue"] { font-size: 1.55rem; }
.st-key-status [data-testid="stMetricDelta"] { background: none; padding: 0; }
[class*="st-key-alarming-"] [data-testid="stMetricValue"] { color: $negative; font-weight: 600; }
[class*="st-key-alert-card"] { border-left: 4px solid $negative; padding: 0.6rem 1rem; }
[class*="st-key-alert-name"] { font-weight: 600; }
[class*="st-key-alert-facts"], .st-key-document-facts, .st-key-explanation-facts {
  opacity: 0.8; font-size: 0.92rem;
}
[class*="st-key-found-"] [data-testid="stElementToolbarButton"]:has([aria-label^="Download"]) {
  display: none;
}
[data-testid="stMainBlockContainer"] [data-testid="stCaptionContainer"],
[data-testid="stMainBlockContainer"] [data-testid="stCaptionContainer"] p,
.st-key-status [data-testid="stMetricDelta"], .st-key-status [data-testid="stMetricDelta"] * {
  color: $muted; opacity: 1;
}
[data-testid="stApp"] :is(a, button, summary, input, [role="tab"]):focus-visible {
  outline: 2px solid $accent !important; outline-offset: 2px;
}
[data-testid="stElementToolbar"]:focus-within { opacity: 1; visibility: visible; }
[data-testid="stLayoutWrapper"]:has(> [class*="st-key-told-"]),
[data-testid="stLayoutWrapper"]:has(> .st-key-announced) {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
[class*="st-key-told-"] [data-testid="stText"] { white-space: nowrap; }
[data-testid="stButtonGroup"] button { min-height: 2.5rem; }
.st-key-count-text, .st-key-exported-text, .st-key-read-from,
.st-key-queue-facts { opacity: 0.8; font-size: 0.92rem; }
.st-key-queue-facts { font-weight: 600; }
.st-key-document-title { font-weight: 600; font-size: 1.1rem; }
[data-testid="stBaseButton-primary"] { color: $background; }
@media (max-width: 1100px) {
  .st-key-run { max-width: 210px; }
  .st-key-subjects .st-key-subject, .st-key-subjects .st-key-against { max-width: 250px; }
}
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding-left: 1rem; padding-right: 1rem; }
  .st-key-words, [data-testid="stLayoutWrapper"]:has(> [class*="st-key-alert-head"]) {
    min-width: 100%;
  }
  .st-key-header { row-gap: 0.8rem; }
  .st-key-brand { padding-bottom: 0.25rem; }
  .st-key-header .st-key-run, .st-key-subjects .st-key-subject, .st-key-subjects .st-key-against {
    max-width: 100%;
  }
  .st-key-status [data-testid="stMetricDelta"] > div { white-space: normal; }
  .st-key-status > :last-child:nth-child(odd) { grid-column: 1 / -1; }
  .st-key-status [data-testid="stMetricValue"] { font-size: 1.2rem; }
}
</style>"""


def apply_style(palette: Palette) -> None:
    """Add the style to the page."""
    # Streamlit writes white on the accent, which is too pale for it in the dark.
    st.html(Template(_STYLE).substitute(asdict(palette)))
