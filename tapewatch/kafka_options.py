"""Kafka's part of the settings, in the form that ``ingest`` takes."""

from typing import Any

from ingest.kafka import KafkaSettings
from tapewatch.settings import Settings


def kafka_settings(settings: Settings) -> KafkaSettings:
    """Servers, topics, group, and TLS and SASL options that are set."""
    password = settings.kafka_sasl_password
    security: dict[str, Any] = {
        "security_protocol": settings.kafka_security_protocol,
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else None,
        "ssl_cafile": settings.kafka_ssl_cafile and str(settings.kafka_ssl_cafile),
        "ssl_certfile": settings.kafka_ssl_certfile and str(settings.kafka_ssl_certfile),
        "ssl_keyfile": settings.kafka_ssl_keyfile and str(settings.kafka_ssl_keyfile),
    }
    return KafkaSettings(
        servers=_names(settings.kafka),
        topics=_names(settings.kafka_topics),
        group=settings.kafka_group,
        session_timeout_ms=settings.kafka_session_timeout_ms,
        security={name: value for name, value in security.items() if value is not None},
    )


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())
