"""What a raw record may have besides its bytes."""

from __future__ import annotations

from typing import Final

#: Header of a raw record: the tenant of its events, where they do not say so themselves. The gateway knows it by the
#: address that a webhook was posted to.
TENANT_HEADER: Final = "aftersend.tenant"
