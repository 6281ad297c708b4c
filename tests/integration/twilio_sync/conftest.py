import pytest

from tests.support.twilio_log import TwilioLog


@pytest.fixture
def log() -> TwilioLog:
    return TwilioLog()
