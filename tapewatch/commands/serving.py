"""``serve``: the model of this machine for the workers of others."""

import structlog

from tapewatch.addresses import is_loopback
from tapewatch.commands.options import Device
from tapewatch.settings import Settings
from tapewatch.wiring import keep_loaded, open_local_scorer

log = structlog.get_logger(__name__)


def serve(device: Device = "auto") -> None:
    """Offer the model over HTTP, so that several workers share one GPU; until told to stop."""
    from tapewatch.remote.server import (  # noqa: PLC0415 - no other command needs a web server
        ScoringService,
        listen,
        serve_until_told,
    )

    settings = Settings()
    token = settings.scorer_token.get_secret_value() if settings.scorer_token else None
    listening = listen(settings.serve_address, settings.serve_port)
    if token is None and not is_loopback(settings.serve_address):
        log.warning("open_to_everybody", advice="set TAPEWATCH_SCORER_TOKEN here and at clients")
    model = open_local_scorer(settings, device)
    model.score(["ready"])
    keep_loaded()
    address, port = listening.getsockname()[:2]
    host = f"[{address}]" if ":" in address else address
    log.info("scorer_ready", url=f"http://{host}:{port}", model=model.version)
    serve_until_told(ScoringService(model, token), listening)
    log.info("scorer_stopped")
