"""What receiving hosts answer: for every bounce class texts as they are found in the wild."""

from __future__ import annotations

from typing import Final, NamedTuple


class Reply(NamedTuple):
    """One answer. `{address}`, `{domain}` and `{ip}` in the text are filled in."""

    #: The classifier's class for it.
    bounce_class: str
    #: How often it comes, relative to its list's others.
    weight: float
    code: int
    #: The enhanced status code; None: the host sends none.
    status: tuple[int, int, int] | None
    text: str
    #: The command that it answers.
    command: str = "RCPT TO"


REFUSALS: Final = (
    Reply(
        "InvalidRecipient",
        30,
        550,
        (5, 1, 1),
        "The email account that you tried to reach does not exist. Please check the address for typos.",
    ),
    Reply("InvalidRecipient", 12, 550, (5, 1, 1), "<{address}>: Recipient address rejected: User unknown"),
    Reply("InvalidRecipient", 1, 501, (5, 1, 3), "<{address}>: Bad recipient address syntax"),
    Reply("BadDomain", 3, 556, (5, 1, 10), "Recipient address has a null MX"),
    Reply("InactiveMailbox", 8, 550, (5, 2, 1), "The email account that you tried to reach is disabled."),
    Reply("QuotaIssues", 9, 552, (5, 2, 2), "<{address}>: Mailbox full, over quota"),
    Reply("DNSFailure", 1, 550, (5, 4, 3), "DNS lookup of {domain} failed", ""),
    Reply("NoAnswerFromHost", 1, 550, None, "No answer from any host of {domain}", ""),
    Reply("BadConnection", 1, 550, None, "Connection to mx1.{domain} reset by peer", "DATA"),
    Reply("RoutingErrors", 1, 554, (5, 4, 6), "Too many hops, mail loops back to {domain}", "."),
    Reply("BadConfiguration", 1, 554, (5, 3, 5), "Local configuration error of {domain}, see postmaster"),
    Reply("TransientFailure", 1, 550, None, "Temporary server error of {domain}, please try again later"),
    Reply("MessageExpired", 1, 550, (5, 4, 7), "Delivery time expired", ""),
    Reply("TooManyRecipients", 1, 552, (5, 5, 3), "Too many recipients in this session"),
    Reply("SpamBlock", 8, 550, (5, 7, 1), "Service unavailable; client host [{ip}] is on our block list", "MAIL FROM"),
    Reply("SpamContent", 3, 554, (5, 7, 1), "Message blocked due to spam content in the message.", "."),
    Reply("SpamRelated", 2, 554, None, "Your message was taken for unsolicited mail", "."),
    Reply("ContentRelated", 1, 554, (5, 6, 0), "The content of this message is not accepted", "."),
    Reply("ProhibitedAttachment", 1, 552, (5, 7, 0), "This message has an attachment of a type that we block.", "."),
    Reply("VirusRelated", 1, 554, (5, 7, 1), "Message contains a virus and was rejected", "."),
    Reply("PolicyRelated", 4, 554, (5, 7, 1), "Email not accepted for policy reasons", "."),
    Reply(
        "AuthenticationFailed",
        3,
        550,
        (5, 7, 26),
        "Unauthenticated email from mail.brand.example is not accepted due to the domain's DMARC policy.",
        ".",
    ),
    Reply("InvalidSender", 1, 550, (5, 1, 8), "Sender address rejected: Domain not found", "MAIL FROM"),
    Reply("RelayDenied", 1, 550, (5, 7, 1), "<{address}>: Relay access denied"),
    Reply("RelayingIssues", 1, 553, None, "sorry, that domain isn't in my list of allowed rcpthosts"),
    Reply("ProtocolErrors", 1, 503, (5, 5, 1), "Bad sequence of commands", "DATA"),
    # No classifier had a rule for these.
    Reply("Uncategorized", 3, 550, None, "Requested action not taken: mailbox unavailable"),
    Reply("Uncategorized", 1, 541, None, "Recipient's filter has spoken"),
    # Bounces that are none.
    Reply("AutoReply", 1, 550, None, "I am out of the office until Monday", "."),
    Reply("ChallengeResponse", 1, 550, None, "Please confirm that you are human: https://{domain}/confirm", "."),
    Reply("Subscribe", 0.5, 550, None, "subscribe confirmation wanted", "."),
    Reply("Unsubscribe", 0.5, 550, None, "unsubscribe", "."),
)

DEFERRALS: Final = (
    Reply("SpamBlock", 4, 421, (4, 7, 0), "[TSS04] Messages from {ip} temporarily deferred due to user complaints", ""),
    Reply("Uncategorized", 4, 451, (4, 7, 1), "Greylisted, please try again in 300 seconds"),
    Reply("QuotaIssues", 3, 452, (4, 2, 2), "The recipient's inbox is out of storage space"),
    Reply("BadConnection", 2, 421, (4, 4, 2), "mx1.{domain} dropped the connection", "."),
    Reply("NoAnswerFromHost", 1, 451, (4, 4, 1), "no answer from mx1.{domain}", ""),
)

#: In bounce messages that come after a delivery.
ASYNCHRONOUS: Final = (
    Reply("InvalidRecipient", 5, 550, (5, 1, 1), "<{address}>: user unknown", ""),
    Reply("QuotaIssues", 3, 552, (5, 2, 2), "<{address}> rejected: over quota", ""),
    Reply("AutoReply", 2, 550, (5, 0, 0), "I am on holiday and read mail rarely", ""),
)
