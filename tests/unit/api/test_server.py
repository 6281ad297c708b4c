from typing import Any

import pytest
from litestar import Litestar

from libs.common.errors import SettingsError
from libs.common.settings import load
from libs.common.settings.api import ApiSettings
from services.api import server

GIVEN: dict[str, Any] = {
    "_env_file": None,
    "database_url": "postgresql://nobody@127.0.0.1:1/none",
    "from_number": "+13135550100",
    "api_keys": ("0123456789abcdef",),
}


def test_only_the_proxies_of_the_settings_say_whom_they_ask_for() -> None:
    settings = load(ApiSettings, **GIVEN, proxies="10.0.0.0/8, 192.0.2.1")
    assert server.config(Litestar(openapi_config=None), settings).forwarded_allow_ips == ["10.0.0.0/8", "192.0.2.1"]


@pytest.mark.parametrize("proxies", ["*", "proxy.example.org", "10.0.0.1/8"])
def test_what_is_no_network_is_refused(proxies: str) -> None:
    with pytest.raises(SettingsError, match="BROADSHEET_PROXIES"):
        load(ApiSettings, **GIVEN, proxies=proxies)
