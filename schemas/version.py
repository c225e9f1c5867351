"""The schema version of the output topics."""

from __future__ import annotations

from typing import Final

#: The version of the values on the status, contacts and KPI topics; raised when a field changes its meaning.
SCHEMA_VERSION: Final = 1
