"""Every setting there is, read from ``TAPEWATCH_*`` variables or a ``.env`` file.

The table in docs/settings.md is made from the descriptions here; a test keeps the two the same.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What an operator may set; unknown ``TAPEWATCH_*`` variables are ignored."""

    model_config = SettingsConfigDict(
        env_prefix="TAPEWATCH_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    database_url: SecretStr | None = Field(
        None, description="PostgreSQL 14 or newer; unset: an embedded PostgreSQL 18 is started"
    )
    database_reader_url: SecretStr | None = Field(
        None,
        description="the same database for a role that may only read (docs/operating.md); unset: "
        "the dashboard reads as it writes, in transactions that cannot write",
    )
    database_reader_password: SecretStr | None = Field(
        None,
        description="password for that role; set, `tapewatch migrate` makes `tapewatch_reader` "
        "with it, and the dashboard reads as that role",
    )
    data_dir: Path = Field(Path(".tapewatch"), description="folder of the embedded PostgreSQL")
    models_dir: Path = Field(
        Path(".tapewatch/models"),
        description="folder of the weights registry; unset: `models` in `TAPEWATCH_DATA_DIR`",
    )
    weights: Path = Field(
        ROOT / "classifier" / "weights",
        description="folder of the model's weights; set, it wins over the registry's champion",
    )
    rules: Path = Field(
        ROOT / "tapewatch" / "demo" / "rules.toml", description="alert rules and receivers (TOML)"
    )
    threads: int = Field(
        0,
        ge=0,
        description="processor threads of the classifier; 0: as many as torch takes by itself",
    )
    precision: Literal["auto", "fp32", "bf16", "int8"] = Field(
        "auto",
        description="numbers the classifier computes in; auto: the fastest that the device and "
        "the weights are good at",
    )
    batch_documents: int = Field(
        512, ge=1, le=10_000, description="records of one batch at most: one poll, one transaction"
    )
    batch_tokens: int = Field(
        16_384, ge=1, description="tokens of one batch at most, unless one document has more"
    )
    batch_wait_milliseconds: int = Field(
        100, ge=0, le=60_000, description="how long a document waits for others to fill its batch"
    )
    allowed_lateness_seconds: int = Field(
        60, ge=0, description="how far behind the newest document another is not late yet"
    )
    idle_seconds: int = Field(
        60, ge=1, description="a partition silent for so long holds back no alert (live run)"
    )
    evaluate_every_seconds: int = Field(
        5, ge=1, description="how often the alerter looks for complete windows"
    )
    card_words: bool = Field(
        default=True,
        description="say on alerts' cards which words made their documents negative; it loads the "
        "model into the alerter",
    )
    kafka: str = Field("localhost:9092", description="Kafka bootstrap servers, comma separated")
    kafka_topics: str = Field("news,comments", description="Kafka topics, comma separated")
    kafka_group: str = Field("tapewatch", description="Kafka consumer group of the workers")
    kafka_session_timeout_ms: int = Field(
        10_000, ge=1000, description="a worker silent for so long loses its partitions"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how workers and publishers talk to Kafka"
    )
    kafka_sasl_mechanism: (
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"] | None
    ) = Field(None, description="SASL mechanism")
    kafka_sasl_username: str | None = Field(None, description="SASL user name")
    kafka_sasl_password: SecretStr | None = Field(None, description="SASL password")
    kafka_ssl_cafile: Path | None = Field(None, description="certificate authority file (PEM)")
    kafka_ssl_certfile: Path | None = Field(None, description="client certificate file (PEM)")
    kafka_ssl_keyfile: Path | None = Field(None, description="client key file (PEM)")
    dashboard_address: str = Field("127.0.0.1", description="address the dashboard listens on")
    dashboard_port: int = Field(8501, ge=1, le=65535, description="port of the dashboard")
    dashboard_role: Literal["viewer", "analyst", "operator"] | None = Field(
        None,
        description="role of everybody while nobody signs in; unset: operator where the dashboard "
        "listens on a loopback address, else viewer",
    )
    dashboard_login: Path | None = Field(
        None,
        description="OIDC login and roles (TOML, docs/dashboard.md); unset: nobody signs in",
    )
    scorer_url: str | None = Field(
        None,
        description="score by this server (docs/scaling.md); unset: by weights on this machine",
    )
    scorer_protocol: Literal["tapewatch", "kserve", "vllm"] = Field(
        "tapewatch", description="what that server speaks"
    )
    scorer_token: SecretStr | None = Field(
        None, description="bearer token that `tapewatch serve` wants and its clients send"
    )
    scorer_timeout_seconds: float = Field(
        60.0, gt=0, description="how long one answer of that server may take"
    )
    scorer_patience_seconds: float = Field(
        120.0, ge=0, description="how long a batch waits for that server before the command fails"
    )
    serve_address: str = Field("127.0.0.1", description="address `tapewatch serve` listens on")
    serve_port: int = Field(
        8600, ge=0, le=65535, description="port of `tapewatch serve`; 0: any that is free"
    )
    metrics_address: str = Field("127.0.0.1", description="address of a worker's metrics")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="port of a worker's metrics for Prometheus; 0: none"
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="logs for people or for programs"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least severe log line that is written"
    )

    @model_validator(mode="after")
    def _models_lie_with_the_data(self) -> "Settings":
        if "models_dir" not in self.model_fields_set:
            self.__dict__["models_dir"] = self.data_dir / "models"
        return self
