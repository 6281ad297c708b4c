"""The schema, one class a table: the one description of it.

Migrations make the same schema step by step; a test compares the two in the catalogue (`test_drift.py`). Illegal rows
cannot be stored: each check, unique index and foreign key has its reason beside it. References to tables that are
rebuilt from events are deferrable, so that a rebuild can empty those tables and fill them again in one transaction.

The classes are for Core statements only (`select(Contact.id)`); there is no session and no relationship.
"""

from libs.common.database.tables import ddl
from libs.common.database.tables.accounts import ApiKey, Invitation, Session, SignInAttempts, User
from libs.common.database.tables.audience import (
    AudienceSegment,
    ConsentRecord,
    Contact,
    MessagingService,
    OptOut,
    SendingNumber,
    UnreachableNumber,
)
from libs.common.database.tables.base import Base
from libs.common.database.tables.broadcasts import (
    BROADCAST_IDS,
    Batch,
    Broadcast,
    BroadcastParts,
    BroadcastSegment,
    Settling,
    Sync,
)
from libs.common.database.tables.conversations import MissiveConversation, MissiveLabelPass
from libs.common.database.tables.coordination import (
    CarrierClock,
    IdempotencyKey,
    Pace,
    Permit,
    Restored,
    SendingDay,
    WebhookSource,
)
from libs.common.database.tables.history import Event, Inbox, Outbox, Stream, Trace
from libs.common.database.tables.imports import ContactImport, ContactImportChange, ContactImportChunk
from libs.common.database.tables.messages import MESSAGE_IDS, MessageBody, MessageStatus, OutgoingMessage
from libs.common.database.tables.notices import Notice, NoticesRead, NoticeTarget
from libs.common.database.tables.replies import Reply
from libs.common.database.tables.sign_ups import SignUp, SignUpKeyword
from libs.common.database.tables.single_messages import SingleMessage

__all__ = [
    "BROADCAST_IDS",
    "MESSAGE_IDS",
    "ApiKey",
    "AudienceSegment",
    "Base",
    "Batch",
    "Broadcast",
    "BroadcastParts",
    "BroadcastSegment",
    "CarrierClock",
    "ConsentRecord",
    "Contact",
    "ContactImport",
    "ContactImportChange",
    "ContactImportChunk",
    "Event",
    "IdempotencyKey",
    "Inbox",
    "Invitation",
    "MessageBody",
    "MessageStatus",
    "MessagingService",
    "MissiveConversation",
    "MissiveLabelPass",
    "Notice",
    "NoticeTarget",
    "NoticesRead",
    "OptOut",
    "Outbox",
    "OutgoingMessage",
    "Pace",
    "Permit",
    "Reply",
    "Restored",
    "SendingDay",
    "SendingNumber",
    "Session",
    "Settling",
    "SignInAttempts",
    "SignUp",
    "SignUpKeyword",
    "SingleMessage",
    "Stream",
    "Sync",
    "Trace",
    "UnreachableNumber",
    "User",
    "WebhookSource",
]

ddl.add_to(Base.metadata)
for _table in Base.metadata.sorted_tables:
    _mapper = next(m for m in Base.registry.mappers if m.local_table is _table)
    _table.comment = (_mapper.class_.__doc__ or "").splitlines()[0].rstrip(".")
