"""What each type of event, bounce and delay of Amazon SES means, as data."""

from __future__ import annotations

from typing import Final, NamedTuple

BY_CODES: Final = "by codes"
BY_SUBTYPE: Final = "by bounce type"
BY_REPORT: Final = "by feedback type"
BY_CHOICE: Final = "by choice"


class SesEventRule(NamedTuple):
    """What one type of event becomes."""

    #: As SES spells it in `eventType` or `notificationType`.
    event: str
    #: A canonical type, one of the `BY_…`, or "" for none: nothing happened to a recipient.
    type: str
    why: str


EVENT_RULES: Final = (
    SesEventRule("Send", "sent", "SES took the message over and will deliver it"),
    SesEventRule("Reject", "rejected", "SES found a virus in it and did not deliver it"),
    SesEventRule("Rendering Failure", "failed", "the template could not be filled in"),
    SesEventRule("DeliveryDelay", "deferred", "will be tried again"),
    SesEventRule("Delivery", "delivered", "the recipient's host took it over"),
    SesEventRule("Bounce", BY_SUBTYPE, "refused, given up, or kept back by a suppression list"),
    SesEventRule("Complaint", BY_REPORT, "a feedback loop's report (ARF), or kept back by a suppression list"),
    SesEventRule("Open", "opened", "the message's images were loaded"),
    SesEventRule("Click", "clicked", "a link was followed"),
    SesEventRule("Subscription", BY_CHOICE, "the recipient changed what he wants of a contact list"),
    SesEventRule("Received", "", "incoming mail, not feedback"),
    SesEventRule("AmazonSnsSubscriptionSucceeded", "", "SES tries out a topic that was set for notifications"),
)

#: What SES publishes, as plain text, to try out a topic that was set for event publishing.
TOPIC_IS_VALID: Final = "Successfully validated SNS topic"


class SesBounceRule(NamedTuple):
    """What one kind of bounce means."""

    type: str
    #: "": any other.
    subtype: str
    #: A canonical type, or `BY_CODES`.
    becomes: str
    #: The canonical reason or class; "": by the codes.
    why: str


BOUNCE_RULES: Final = (
    SesBounceRule("Permanent", "Suppressed", "not_sent", "previously_bounced"),
    SesBounceRule("Permanent", "OnAccountSuppressionList", "not_sent", "previously_bounced"),
    SesBounceRule("Permanent", "UnsubscribedRecipient", "not_sent", "unsubscribed"),
    SesBounceRule("Permanent", "NoEmail", "hard_bounce", "InvalidRecipient"),
    SesBounceRule("Permanent", "", "hard_bounce", ""),
    SesBounceRule("Transient", "MailboxFull", "soft_bounce", "QuotaIssues"),
    SesBounceRule("Transient", "MessageTooLarge", "soft_bounce", "QuotaIssues"),
    SesBounceRule("Transient", "CustomTimeoutExceeded", "soft_bounce", "MessageExpired"),
    SesBounceRule("Transient", "ContentRejected", "rejected", "ContentRelated"),
    SesBounceRule("Transient", "AttachmentRejected", "rejected", "ProhibitedAttachment"),
    SesBounceRule("Transient", "", "soft_bounce", ""),
    SesBounceRule("Undetermined", "", BY_CODES, ""),
)

#: What SES calls a delay, by our classes (`aftersend.sources.parsing.bounce_classes`); of the others the codes say
#: more.
DELAYS: Final = {
    "InternalFailure": "TransientFailure",
    "MailboxFull": "QuotaIssues",
    "SpamDetected": "SpamRelated",
    "RecipientServerError": "TransientFailure",
    "IPFailure": "SpamBlock",
    "TransientCommunicationFailure": "BadConnection",
    "BYOIPHostNameLookupUnavailable": "DNSFailure",
    "SendingDeferral": "TransientFailure",
}


def key_of(name: str) -> str:
    """Return a name as it is looked up: SES spells some with and without blanks."""
    return name.replace(" ", "").lower()


TYPE_OF_EVENT: Final = {key_of(rule.event): rule.type for rule in EVENT_RULES}
RULE_OF_BOUNCE: Final = {(key_of(rule.type), key_of(rule.subtype)): rule for rule in BOUNCE_RULES}
CLASS_OF_DELAY: Final = {key_of(name): known for name, known in DELAYS.items()}
