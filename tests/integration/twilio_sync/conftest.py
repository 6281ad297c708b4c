import pytest

from tests.support.twilio_log import TwilioLog
from tests.support.world import World


@pytest.fixture
def log(world: World) -> TwilioLog:
    return TwilioLog(clock=world.clock)
