"""Every colour of the dashboard, for light and for dark. Knows no data and no Streamlit.

Negative is vermilion and calm is blue: a pair that colour-blind readers tell apart.
"""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme. ``heat`` runs from no negative documents to nothing else."""

    background: str
    surface: str
    text: str
    border: str
    accent: str
    muted: str
    volume: str
    negative: str
    heat: tuple[str, ...]
    series: tuple[str, ...]
    """Lines beside each other, after Okabe and Ito; each has a dash and a mark of its own too."""


LIGHT = Palette(
    background="#fbfbf9",
    surface="#f0f2f2",
    text="#1f2a33",
    border="#d9dedf",
    accent="#1b6a87",
    muted="#5f6b74",
    volume="#b4c2ca",
    negative="#c2421f",
    heat=("#7fabc6", "#c3cfd1", "#e9c9a4", "#dd7f4d", "#b4340f"),
    series=("#0072b2", "#b5651d", "#00805f", "#a8497f", "#4a4a4a"),
)

DARK = Palette(
    background="#11171c",
    surface="#1a2229",
    text="#dfe6ea",
    border="#2d3841",
    accent="#6db7d3",
    muted="#93a1ab",
    volume="#46545f",
    negative="#ff8a5c",
    heat=("#3f7896", "#485a66", "#80664f", "#cf7441", "#ff8f5e"),
    series=("#56b4e9", "#e69f00", "#2fc99a", "#e08fbf", "#c9c9c9"),
)

HEAT_SHARES = (0.0, 0.2, 0.35, 0.55, 0.8)
"""The negative shares at which the heat colours stand."""


def palette_for(theme: str | None) -> Palette:
    """The palette of the reader's theme; light until the browser has told which it is."""
    return DARK if theme == "dark" else LIGHT


def theme_options() -> dict[str, str]:
    """Streamlit's theme options, both themes, by the names that its command line takes."""
    options = {"theme.baseRadius": "0.4rem", "theme.showWidgetBorder": "true"}
    names = {
        "background": "backgroundColor",
        "surface": "secondaryBackgroundColor",
        "text": "textColor",
        "border": "borderColor",
        "accent": "primaryColor",
        "negative": "redColor",
    }
    for theme, palette in (("light", LIGHT), ("dark", DARK)):
        colours = asdict(palette)
        options |= {f"theme.{theme}.{option}": colours[name] for name, option in names.items()}
    return options
