"""Sections of the settings, one a file; `aftersend.config.settings` joins them."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel

from aftersend.config.sections.alerts import AlertSettings
from aftersend.config.sections.api import ApiSettings
from aftersend.config.sections.batches import BatchSettings
from aftersend.config.sections.breaker import BreakerSettings
from aftersend.config.sections.gateway import GatewaySettings
from aftersend.config.sections.group import GroupSettings
from aftersend.config.sections.health import HealthSettings
from aftersend.config.sections.http import HttpSettings
from aftersend.config.sections.kafka import KafkaSettings
from aftersend.config.sections.logging import LoggingSettings
from aftersend.config.sections.periods import PeriodSettings
from aftersend.config.sections.redis import RedisSettings
from aftersend.config.sections.sources import SourceSettings
from aftersend.config.sections.store import StoreSettings
from aftersend.config.sections.topics import TopicSettings

#: Sections by title, in the order of the documentation and of error messages.
SECTIONS: Final[dict[str, type[BaseModel]]] = {
    "Group": GroupSettings,
    "Kafka": KafkaSettings,
    "Topics": TopicSettings,
    "Rebalances, transactions and batches": BatchSettings,
    "Redis": RedisSettings,
    "Store": StoreSettings,
    "Time": PeriodSettings,
    "Alerts": AlertSettings,
    "Sources": SourceSettings,
    "Breaker": BreakerSettings,
    "Health": HealthSettings,
    "Query API": ApiSettings,
    "HTTP": HttpSettings,
    "Gateway": GatewaySettings,
    "Logging": LoggingSettings,
}
