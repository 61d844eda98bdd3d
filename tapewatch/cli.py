"""The command line. Errors that a user can mend come out as one line, not as a traceback."""

import sys

import typer
from pydantic import ValidationError

from alerts.backtest.comparison import KnownEventsError
from alerts.rules.ruleset import RulesError
from alerts.spikes import SpikeError
from classifier.errors import ClassifierError
from ingest.files import FeedError
from store.errors import StoreError
from tapewatch.archives import ArchiveError
from tapewatch.commands import (
    alerting,
    averaging,
    backtesting,
    classifying,
    dead_letters,
    drift,
    evaluating,
    feedback,
    inspecting,
    live,
    models,
    pruning,
    receivers,
    replaying,
    rescoring,
    rules,
    serving,
    spikes,
    training,
)
from tapewatch.commands.backtesting import PlotError
from tapewatch.login import LoginError
from tapewatch.logs import configure_logs
from tapewatch.metrics import MetricsPortError
from tapewatch.remote.errors import ScorerError
from tapewatch.series import SeriesError
from tapewatch.settings import Settings

_MENDABLE = (
    StoreError, RulesError, KnownEventsError, PlotError, FeedError, ClassifierError, ScorerError,
    ArchiveError, MetricsPortError, SeriesError, SpikeError,
    LoginError,
)  # fmt: skip

app = typer.Typer(
    help="Watches financial news and comments and alerts when negative sentiment spikes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _configure() -> None:
    settings = Settings()
    configure_logs(settings.log_format, settings.log_level)


for _command in (
    replaying.demo,
    replaying.replay,
    backtesting.backtest,
    live.worker,
    live.alerter,
    live.publish,
    replaying.dashboard,
    classifying.classify,
    inspecting.status,
    inspecting.digest,
    inspecting.migrate,
    training.pretrain,
    training.train,
    training.distil,
    averaging.average,
    evaluating.evaluate,
    models.models,
    models.promote,
    models.rollback,
    drift.drift,
    feedback.correct,
    feedback.corrections,
    rescoring.rescore,
    serving.serve,
    pruning.prune,
    spikes.spikes,
):
    app.command()(_command)
app.add_typer(alerting.app, name="alerts")
app.add_typer(receivers.app, name="receivers")
app.add_typer(rules.app, name="rules")
app.add_typer(dead_letters.dead_letters, name="dead-letters")


def main() -> None:
    """Run a command; exit status 1 and one line for what the user can mend."""
    try:
        app()
    except _MENDABLE as error:
        _fail(str(error))
    except ValidationError as error:
        wrong = ", ".join(
            f"TAPEWATCH_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()
        )
        _fail(f"a setting is wrong: {wrong}; docs/settings.md lists them")
    except Exception as error:
        # Kafka's error is told by its name: importing it takes seconds.
        if type(error).__name__ != "KafkaUnavailableError":
            raise
        _fail(str(error))


def _fail(message: str) -> None:
    sys.stderr.write(f"tapewatch: {message}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
