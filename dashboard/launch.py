"""How Streamlit is started, whatever the current folder. Knows neither the script nor settings.

Everything goes by the command line: a ``.streamlit/config.toml`` is looked for in the current
folder, which is the user's and not ours.
"""

from pathlib import Path

from dashboard.common.theme import theme_options


def streamlit_arguments(address: str, port: int, login: Path | None = None) -> list[str]:
    """What follows ``streamlit run SCRIPT``; ``login`` is the file with the table ``[auth]``."""
    options = {
        "server.headless": "true",
        "server.address": address,
        "server.port": str(port),
        "server.fileWatcherType": "none",
        "server.runOnSave": "false",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        **theme_options(),
    }
    if login is not None:
        options["secrets.files"] = str(login.resolve())
    return [f"--{name}={value}" for name, value in options.items()]
