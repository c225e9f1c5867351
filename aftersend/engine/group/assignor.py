"""Which member of the group gets which partitions: every topic spread evenly, and little moved when members change.

Kafka's sticky assignor evens out the number of partitions over all topics together, so that one worker may get all
partitions of the events topic and with them nearly all of the work. Here each topic is spread for itself. Within a
topic every partition has an order of preference among the members (rendezvous hashing), so as long as the members stay
the same, so does the assignment, and whoever comes or goes moves little more than its own share. No member has to tell
what it had before.

With the assignment the leader tells every member who has which partition of one topic and where that worker is reached,
so any worker can send a question on to the owner without asking the broker first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, ClassVar

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from aftersend.engine.group.membership import Membership, tell


def spread(members: Iterable[str], topic: str, partitions: Iterable[int]) -> dict[str, list[int]]:
    """Return by member the partitions of a topic; no member has more than one more than another.

    Args:
        members: their ids.
        topic: its name.
        partitions: their numbers.
    """
    members = sorted(members)
    numbers = sorted(partitions)
    shares: dict[str, list[int]] = {member: [] for member in members}
    least, extra = divmod(len(numbers), len(members))
    # Pairs of partition and member, best preference first; a member that is full takes no more.
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
    #: Of the worker that this assignor works for; aiokafka knows assignors as classes only.
    membership: ClassVar[Membership] = Membership(0.0)

    @classmethod
    def of(cls, membership: Membership) -> type[SpreadAssignor]:
        """Return the assignor of one worker."""
        return type("SpreadAssignor", (cls,), {"membership": membership})

    @classmethod
    def assign(
        cls,
        cluster: Any,
        members: Mapping[str, ConsumerProtocolMemberMetadata],
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Return what each member gets."""
        assigned: dict[str, dict[str, list[int]]] = {member: {} for member in members}
        for topic in sorted({topic for metadata in members.values() for topic in metadata.subscription}):
            subscribed = [member for member, metadata in members.items() if topic in metadata.subscription]
            for member, numbers in spread(subscribed, topic, cluster.partitions_for_topic(topic) or ()).items():
                if numbers:
                    assigned[member][topic] = sorted(numbers)
        urls = {
            member: bytes(metadata.user_data or b"").decode(errors="replace") for member, metadata in members.items()
        }
        told = tell(urls, {member: topics.get(cls.membership.topic, []) for member, topics in assigned.items()})
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(topics.items()), told)
            for member, topics in assigned.items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Return what a member tells of itself."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), cls.membership.url.encode())

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember who has what."""
        cls.membership.learn(bytes(assignment.user_data or b""))
