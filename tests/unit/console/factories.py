"""The query API without a worker, and ASGI requests as bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from aftersend.console.api.app import Api
from aftersend.console.api.backend import AddressRecord
from aftersend.console.auth import TokenAuth
from aftersend.console.errors import ApiError, ErrorCode
from aftersend.publish.kpis import Kpis, from_counters
from aftersend.publish.redis.reader import DeliveryPage, PageKey
from aftersend.rules.contact.suppression import SuppressionResult, check
from aftersend.schemas.contact import Contact
from aftersend.schemas.partitioning import partition_of
from aftersend.schemas.recipient import RecipientState
from aftersend.services.answers import ApiExplanation
from aftersend.services.audience.addresses import read_address
from aftersend.services.explain.answer import ExplainOptions
from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import normalise
from aftersend.tables.codec.public import decode_state

OPERATOR = "operator-token-0123456789"
VIEWER = "viewer-token-0123456789"
KNOWN = "jane@example.com"
STATE = decode_state(
    b'{"schema":1,"delivery_id":"sale","recipient":"jane@example.com","status":"hard_bounce","facts":["sent",'
    b'"hard_bounced"],"version":2,"updated_at":1757851200.5,"final":true,"address":"Jane@Example.com","failure":'
    b'{"at":1757851200.0,"code":550,"diagnostic":"<jane@example.com> unknown"}}'
)
CONTACT = Contact(schema=1, recipient=KNOWN, do_not_email=True, cause="hard_bounce", cause_at=1757851200.0)


class Memory:
    """Deliveries and rows in memory."""

    def __init__(self) -> None:
        self.here = True
        self.url = ""
        self.moved = False
        #: Options of each explanation.
        self.explain_options: list[ExplainOptions] = []
        #: Addresses of each suppression check.
        self.requested: list[tuple[str, ...]] = []

    async def read(self, delivery_id: str) -> Kpis | None:
        return from_counters("sale", {"audience": 4, "delivered": 2}, 1.0, 2.0) if delivery_id == "sale" else None

    async def page(self, order: str, after: PageKey | None, limit: int) -> DeliveryPage:
        kpis = await self.read("sale")
        assert kpis is not None
        return DeliveryPage([kpis], 1, (-2.0, "sale") if after is None else None)

    def normalise(self, address: str) -> str:
        try:
            return normalise(address)
        except SourceError as error:
            raise ValueError(str(error)) from error

    def is_here(self, recipient: str) -> bool:
        return self.here

    def owner(self, recipient: str) -> str:
        return self.url

    def key_of(self, address: str) -> str:
        return read_address(address)

    def partition(self, recipient: str) -> int:
        return partition_of(recipient, 4)

    async def check_suppression(self, recipients: Sequence[str], message_type: str) -> list[SuppressionResult]:
        self._check()
        self.requested += [tuple(recipients)]
        assert len({self.partition(recipient) for recipient in recipients}) == 1
        return [check(CONTACT if recipient == KNOWN else None, message_type) for recipient in recipients]

    def _check(self) -> None:
        if self.moved:
            raise ApiError(ErrorCode.PARTITION_MOVING, "gone")

    async def row(self, delivery_id: str, recipient: str) -> RecipientState | None:
        self._check()
        return STATE if (delivery_id, recipient) == ("sale", KNOWN) else None

    async def recipient(self, recipient: str) -> AddressRecord:
        self._check()
        return AddressRecord([STATE], CONTACT) if recipient == KNOWN else AddressRecord([], None)

    async def explain(self, delivery_id: str, recipient: str, options: ExplainOptions) -> ApiExplanation | None:
        self._check()
        self.explain_options.append(options)
        if (delivery_id, recipient) != ("sale", KNOWN):
            return None
        return ApiExplanation(
            delivery_id="sale",
            recipient=KNOWN,
            status="hard_bounce",
            final=True,
            facts=["sent"],
            version=2,
            steps=[],
            missing=0,
            notes=[],
            disagreements=[],
        )


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        code: str = self.body["error"]["code"]
        return code


def api(memory: Memory, **auth: Any) -> Api:
    return Api(TokenAuth(auth.pop("tokens", {OPERATOR: "operator", VIEWER: "viewer"}), **auth), memory, memory, "1.2.3")


async def ask(
    of: Api,
    target: bytes | str,
    *,
    method: str = "GET",
    token: str | None = OPERATOR,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Send a request as a server does: path and query as bytes, not decoded."""
    path, _, query = (target.encode() if isinstance(target, str) else target).partition(b"?")
    given = {"host": "127.0.0.1:6066"} | ({"authorization": f"Bearer {token}"} if token is not None else {})
    scope: Any = {
        "type": "http",
        "method": method,
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "headers": [(n.encode(), v.encode("latin-1")) for n, v in (given | (headers or {})).items()],
        "scheme": "http",
        "server": ("127.0.0.1", 6066),
    }
    sent: list[Any] = []

    chunks = [body[at : at + 100_000] for at in range(0, len(body), 100_000)] or [b""]

    async def receive() -> Any:
        chunk = chunks.pop(0) if chunks else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        sent.append(message)

    await of(scope, receive, send)
    headers_sent = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], headers_sent, b"".join(message.get("body", b"") for message in sent[1:]))
