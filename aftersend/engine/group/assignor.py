"""Partition assignment: every topic is spread evenly over the members, and few partitions move when members change.

Kafka's sticky assignor balances the number of partitions over all topics together, so one worker may get all partitions
of the events topic and with them nearly all of the work. Here each topic is balanced by itself. Within a topic every
partition has an order of preference among the members (rendezvous hashing): the same members give the same assignment,
a member that joins or leaves moves little more than its own share, and no member reports what it had before.

With the assignment the leader sends every member the owners of one topic's partitions and where they are reached, so
any worker can forward a query to the owner without asking the broker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, ClassVar

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from aftersend.engine.group.membership import Membership, encode_owners


def spread(members: Iterable[str], topic: str, partitions: Iterable[int]) -> dict[str, list[int]]:
    """Return the partitions of a topic by member; the members' numbers of partitions differ by one at most.

    Args:
        members: ids of the members.
        topic: name of the topic.
        partitions: numbers of its partitions.
    """
    members = sorted(members)
    numbers = sorted(partitions)
    shares: dict[str, list[int]] = {member: [] for member in members}
    least, extra = divmod(len(numbers), len(members))
    # Pairs of partition and member, best preference first; a member with its full share is skipped.
    pairs = sorted((_weight(topic, number, member), number, member) for number in numbers for member in members)
    taken: set[int] = set()
    for _, number, member in pairs:
        if number in taken:
            continue
        share = shares[member]
        if len(share) < least or (len(share) == least and extra):
            extra -= len(share) == least
            share.append(number)
            taken.add(number)
    return shares


def _weight(topic: str, partition: int, member: str) -> bytes:
    return blake2b(f"{topic}\0{partition}\0{member}".encode(), digest_size=8).digest()


class SpreadAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types here
    """The group's assignor: `spread`, topic by topic."""

    name = "aftersend-spread"
    version = 0
    #: Of the worker that uses this assignor; a class attribute, since aiokafka uses assignors as classes.
    membership: ClassVar[Membership] = Membership(0.0)

    @classmethod
    def of(cls, membership: Membership) -> type[SpreadAssignor]:
        """Return the assignor class of one worker."""
        return type("SpreadAssignor", (cls,), {"membership": membership})

    @classmethod
    def assign(
        cls,
        cluster: Any,
        members: Mapping[str, ConsumerProtocolMemberMetadata],
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Return each member's partitions."""
        assigned: dict[str, dict[str, list[int]]] = {member: {} for member in members}
        for topic in sorted({topic for metadata in members.values() for topic in metadata.subscription}):
            subscribed = [member for member, metadata in members.items() if topic in metadata.subscription]
            for member, numbers in spread(subscribed, topic, cluster.partitions_for_topic(topic) or ()).items():
                if numbers:
                    assigned[member][topic] = sorted(numbers)
        urls = {
            member: bytes(metadata.user_data or b"").decode(errors="replace") for member, metadata in members.items()
        }
        owners = encode_owners(
            urls, {member: topics.get(cls.membership.topic, []) for member, topics in assigned.items()}
        )
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(topics.items()), owners)
            for member, topics in assigned.items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Return a member's subscription, with its URL."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), cls.membership.url.encode())

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Take over the owners that the leader has sent."""
        cls.membership.update_owners(bytes(assignment.user_data or b""))
