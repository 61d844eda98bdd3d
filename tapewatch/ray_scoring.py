"""Scoring an archive on Ray Data: one process a worker, each with weights of its own in memory.

Ray is started for this command alone, on this machine and for this machine, and ended with it.
Tables come back in the order of the archive, so that what is written is what one engine would
have written. Ray is known here and nowhere else; it is imported only when it is asked for.
"""

import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from classifier.labels import Labels
from tapewatch.archives import Archive, ArchiveError, columns_of, schema_of, score_table

OBJECT_STORE_BYTES = 512 * 1024 * 1024
"""Shared memory for tables on their way; what does not fit waits."""

PROCESSORS_A_WORKER = 4
"""Where there is no GPU, and nobody said how many workers there shall be."""

_BATCHES_A_BLOCK = 4
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_AUTH_MODE": "token",
}


@dataclass(frozen=True, slots=True)
class RayOptions:
    """How to go about it. ``workers`` and ``threads`` of 0 leave it to what the machine has."""

    device: str = "auto"
    workers: int = 0
    batch_documents: int = 512
    threads: int = 0
    precision: str = "auto"


class _Worker:
    """One engine in a process of Ray's, which calls it with table after table."""

    def __init__(self, weights: str, device: str, threads: int, precision: str) -> None:
        from classifier.engine import Engine  # noqa: PLC0415 - in the worker's process only

        self._engine: Engine = Engine(Path(weights), device, threads, precision)
        self._schema = schema_of(self._engine.labels)

    def __call__(self, documents: pa.Table) -> pa.Table:
        return score_table(documents, self._engine, self._schema)


def score_on_ray(
    archive: Archive, weights: Path, labels: Labels, options: RayOptions
) -> Iterator[pa.Table]:
    """The scored tables of ``archive``, in its order. Raises ArchiveError."""
    if options.device.startswith("cuda:"):
        raise ArchiveError("Ray gives each worker a GPU of its own: say --device auto, cpu or cuda")
    schema = schema_of(labels)
    with _ray() as ray:
        gpus = 0 if options.device == "cpu" else int(ray.cluster_resources().get("GPU", 0))
        if options.device == "cuda" and not gpus:
            raise ArchiveError("Ray finds no GPU here: say --device cpu or auto")
        scored = _dataset(ray, archive, weights, options, gpus)
        try:
            for table in scored.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield table.cast(schema)
        except ray.exceptions.RayError as error:
            reason = str(getattr(error, "cause", None) or error).strip().splitlines()
            raise ArchiveError(f"a worker of Ray failed: {reason[-1]}") from error


def _dataset(ray: Any, archive: Archive, weights: Path, options: RayOptions, gpus: int) -> Any:  # noqa: ANN401 - Ray has no types for mypy
    """What is to be done, as Ray Data sees it; nothing runs yet."""
    processors = os.cpu_count() or 1
    workers = options.workers or gpus or max(1, processors // PROCESSORS_A_WORKER)
    if gpus and workers > gpus:
        raise ArchiveError(f"there are {gpus} GPUs for {workers} workers: one each")
    threads = options.threads or max(1, processors // workers)
    rows = options.batch_documents * _BATCHES_A_BLOCK
    documents = ray.data.read_parquet(
        [str(path) for path in archive.files],
        columns=columns_of(archive.schema),
    )
    # A file may be a single block, and a block is read by one worker.
    return documents.repartition(target_num_rows_per_block=rows).map_batches(
        _Worker,
        fn_constructor_args=(str(weights.resolve()), options.device, threads, options.precision),
        batch_size=options.batch_documents,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=0,  # so that there is always one to read with
        num_gpus=1 if gpus else 0,
    )


@contextmanager
def _ray() -> Iterator[Any]:
    """Ray, started for this process alone and quiet; stopped and swept up at the end."""
    # Ray listens on every network, but does what it is told only by those who know the token.
    os.environ.update(_ENVIRONMENT, RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray  # noqa: PLC0415
        import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise ArchiveError(
            f"--engine ray needs a package that is not installed: {error.name}; "
            "pip install 'tapewatch[ray]'"
        ) from error
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
            configure_logging=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
        try:
            for noisy in ("ray", "ray.data"):  # what fails is told once, by us
                logging.getLogger(noisy).setLevel(logging.CRITICAL)
            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = False
            context.execution_options.preserve_order = True
            yield ray
        finally:
            ray.shutdown()
