"""What can go wrong when a carrier is read, as one tree.

    BroadsheetError
    └── CarrierError
        └── CarrierUnreadable        no answer, a refusal, or an answer that makes no sense
            └── UntrustedPage        a next page that leads away from the account

Sending raises none of these: what came of a request to send is a value (see `outcomes`). No message here holds a phone
number or a body, since they end up in logs.
"""

from libs.common.errors import BroadsheetError


class CarrierError(BroadsheetError):
    """A carrier could not be used."""


class CarrierUnreadable(CarrierError):
    """The carrier's answer could not be had or read."""

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str = "unreadable",
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        #: The carrier's code, or `http_<status>`, or `no_answer` or `unreadable`.
        self.code = code
        self.http_status = http_status
        #: Seconds for which the carrier asked to be left alone.
        self.retry_after = retry_after


class UntrustedPage(CarrierUnreadable):
    """The carrier named a next page that is not in the account's log."""
