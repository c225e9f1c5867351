"""What happens to a recipient, step by step, and how often it happens so."""

from __future__ import annotations

from typing import Final, NamedTuple


class Step(NamedTuple):
    """One thing that happens, and is written down somewhere."""

    name: str
    #: Which of the writers in `writers` writes it down.
    writer: str
    #: Time after the step before: at least, and on average beyond that, in seconds.
    at_least: float
    mean: float


PLANNED: Final = Step("planned", "tracker", 0, 1)
READY: Final = Step("ready", "tracker", 0, 1)
NOT_SENT: Final = Step("not_sent", "tracker", 0, 1)
RECEPTION: Final = Step("reception", "mta", 0, 1)
REJECTION: Final = Step("rejection", "mta", 0, 1)
DELIVERY: Final = Step("delivery", "mta", 1, 6)
DEFERRAL: Final = Step("deferral", "mta", 1, 10)
RETRY: Final = Step("deferral", "mta", 300, 300)
DELIVERY_ON_RETRY: Final = Step("delivery", "mta", 300, 300)
DELAY: Final = Step("delay", "mta", 1, 5)
REBIND: Final = Step("rebind", "mta", 5, 30)
BOUNCE: Final = Step("bounce", "mta", 1, 6)
BOUNCE_ON_RETRY: Final = Step("bounce", "mta", 300, 300)
EXPIRATION: Final = Step("expiration", "mta", 300, 900)
ADMIN_BOUNCE: Final = Step("admin_bounce", "mta", 10, 60)
ASYNCHRONOUS_BOUNCE: Final = Step("asynchronous_bounce", "mta", 30, 1200)
COMPLAINT: Final = Step("complaint", "mta", 60, 1800)
OPT_OUT: Final = Step("opt_out", "mta", 60, 1800)
NOT_SPAM: Final = Step("not_spam", "mta", 60, 1800)
OPEN: Final = Step("open", "tracker", 20, 2400)
OPEN_AGAIN: Final = Step("open", "tracker", 60, 3600)
MACHINE_OPEN: Final = Step("machine_open", "tracker", 2, 60)
CLICK: Final = Step("click", "tracker", 3, 40)
CLICK_UNSEEN: Final = Step("click", "tracker", 20, 2400)
MACHINE_CLICK: Final = Step("machine_click", "tracker", 1, 5)
UNSUBSCRIBE_CLICK: Final = Step("unsubscribe_click", "tracker", 5, 60)
UNSUBSCRIBE: Final = Step("unsubscribe", "tracker", 3, 20)
ONE_CLICK: Final = Step("one_click", "tracker", 20, 1800)
RESUBSCRIBE: Final = Step("resubscribe", "tracker", 10, 60)


class Journey(NamedTuple):
    """What happens to some of the recipients."""

    #: To how many of a thousand.
    weight: float
    steps: tuple[Step, ...]


#: The first recipients of a campaign take one journey each, so that a small one has them all.
JOURNEYS: Final = (
    Journey(352, (RECEPTION, DELIVERY)),
    Journey(190, (RECEPTION, DELIVERY, OPEN)),
    Journey(80, (RECEPTION, DELIVERY, MACHINE_OPEN)),
    Journey(60, (RECEPTION, DELIVERY, MACHINE_OPEN, OPEN)),
    Journey(100, (RECEPTION, DELIVERY, OPEN, CLICK)),
    Journey(40, (RECEPTION, DELIVERY, OPEN, CLICK, CLICK, OPEN_AGAIN)),
    Journey(8, (RECEPTION, DELIVERY, CLICK_UNSEEN)),
    Journey(6, (RECEPTION, DELIVERY, MACHINE_CLICK, MACHINE_CLICK)),
    Journey(32, (RECEPTION, DEFERRAL, DELIVERY_ON_RETRY)),
    Journey(12, (RECEPTION, DEFERRAL, RETRY, DELIVERY_ON_RETRY, OPEN)),
    Journey(10, (RECEPTION, DEFERRAL, RETRY, RETRY, EXPIRATION)),
    Journey(5, (RECEPTION, DELAY, DELIVERY)),
    Journey(2, (RECEPTION, REBIND, DELIVERY)),
    Journey(42, (RECEPTION, BOUNCE)),
    Journey(4, (RECEPTION, DEFERRAL, BOUNCE_ON_RETRY)),
    Journey(6, (RECEPTION, DELIVERY, ASYNCHRONOUS_BOUNCE)),
    Journey(6, (RECEPTION, DELIVERY, OPEN, UNSUBSCRIBE_CLICK, UNSUBSCRIBE)),
    Journey(3, (RECEPTION, DELIVERY, ONE_CLICK)),
    Journey(1, (RECEPTION, DELIVERY, OPEN, UNSUBSCRIBE_CLICK, UNSUBSCRIBE, RESUBSCRIBE)),
    Journey(2, (RECEPTION, DELIVERY, OPEN, COMPLAINT)),
    Journey(1, (RECEPTION, DELIVERY, OPEN, CLICK, COMPLAINT)),
    Journey(1, (RECEPTION, DELIVERY, COMPLAINT)),
    Journey(1, (RECEPTION, DELIVERY, OPT_OUT)),
    Journey(0.5, (RECEPTION, DELIVERY, NOT_SPAM, OPEN)),
    Journey(2, (RECEPTION, ADMIN_BOUNCE)),
    Journey(1, (REJECTION,)),
    Journey(4, (RECEPTION,)),
    Journey(20, (NOT_SENT,)),
    Journey(2, (PLANNED,)),
    Journey(2, (PLANNED, READY)),
    Journey(4, (PLANNED, READY, RECEPTION, DELIVERY, OPEN)),
)

#: Of test messages.
TEST_STEPS: Final = (RECEPTION, DELIVERY, OPEN)
#: Of a message to two recipients at once.
SHARED_STEPS: Final = (RECEPTION, DELIVERY)
#: Of the delivery that began weeks before: what came in time, and what comes when all is frozen.
OLD_STEPS: Final = (RECEPTION, DELIVERY)
LATE_STEPS: Final = (OPEN, CLICK, UNSUBSCRIBE_CLICK, UNSUBSCRIBE, ASYNCHRONOUS_BOUNCE, COMPLAINT)
