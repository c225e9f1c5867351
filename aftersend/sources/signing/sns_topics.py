"""Topics of Amazon SNS, and where the messages of each come from: its region's host, and the names in its certificate.

Sources: Amazon SNS Developer Guide ("Verifying the signatures of Amazon SNS messages": the certificate is the topic's
region's); AWS SDK for Java 2.x, `SnsHostProvider`, which lists the name in the certificate of each region.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

#: DNS suffixes by partition, as ARNs name it.
_SUFFIXES: Final = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}
#: Regions whose messages are signed with the certificate of another one.
_SIGNED_BY: Final = {"us-gov-east-1": "us-gov-west-1"}

_ARN: Final = re.compile(r"arn:(aws[a-z-]*):sns:([a-z0-9]+(?:-[a-z0-9]+)*):[0-9]+:[A-Za-z0-9_-]+(?:\.fifo)?")


class TopicOrigin(NamedTuple):
    """Where the messages of a topic come from."""

    #: Serves the certificate, and takes the confirmation of a subscription.
    host: str
    #: The certificate is for one of these.
    certificate_names: frozenset[str]


def read_topic(arn: str) -> TopicOrigin | None:
    """Return the origin of a topic's messages; None: the text is not the ARN of an SNS topic.

    The host follows from the ARN, not from the message: an ARN is allowed by the installation, while a message may name
    any host that anybody gets from Amazon, such as a bucket's.
    """
    found = _ARN.fullmatch(arn)
    suffix = _SUFFIXES.get(found[1]) if found else None
    if found is None or suffix is None:
        return None
    region = found[2]
    host = f"sns.{region}.{suffix}"
    signer = _SIGNED_BY.get(region, region)
    # The first is that of the oldest regions, the last that of regions that an account has to enable.
    names = {f"sns.{suffix}", host, f"sns-{signer}.{suffix}", f"sns-signing.{region}.{suffix}"}
    return TopicOrigin(host, frozenset(names))
