"""What all tables have in common: the metadata, and how Python's types are stored."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Boolean, CheckConstraint, DateTime, LargeBinary, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import UserDefinedType

from libs.common.database.enums import EnumText
from libs.common.domain.keywords import Wish
from libs.common.domain.notices import NoticeChannel, NoticeKind, NoticeOutcome
from libs.common.domain.roles import Role
from libs.common.domain.sending_numbers import CarrierName
from libs.common.domain.states import (
    BroadcastState,
    CarrierWord,
    Channel,
    ClearedBecause,
    ConsentSource,
    Late,
    LeftOut,
    MessageKind,
    MessageState,
    Outcome,
    ReplyKind,
    Review,
    SegmentRole,
    SinglePurpose,
    SkipReason,
)

E164 = r"^\+[1-9][0-9]{6,14}$"
NEVER = text("'-infinity'")
NOW = text("now()")
#: Columns of these types are text that holds one of their values.
ENUMS = (
    BroadcastState, CarrierName, CarrierWord, Channel, ClearedBecause, ConsentSource, Late, LeftOut, MessageKind,
    MessageState, NoticeChannel, NoticeKind, NoticeOutcome, Outcome, ReplyKind, Review, Role, SegmentRole,
    SinglePurpose, SkipReason, Wish,
)  # fmt: skip


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's 64-bit number of a transaction, https://www.postgresql.org/docs/current/datatype-oid.html."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Return the type's name."""
        return "xid8"


class Base(DeclarativeBase):
    """All tables, with PostgreSQL's own names for what is not named."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        str: Text,
        bool: Boolean,
        float: DOUBLE_PRECISION,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text),
        list[int]: ARRAY(BigInteger),
        dict[str, Any]: JSONB,
        **{kind: EnumText(kind) for kind in ENUMS},
    }


def check(condition: str, name: str) -> CheckConstraint:
    """Return the constraint that refuses rows of which `condition` is false."""
    return CheckConstraint(text(condition), name=name)
