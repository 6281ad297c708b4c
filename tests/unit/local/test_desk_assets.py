"""Building the desk's script behind a proxy of an organisation's own."""

import pytest

from libs.local import desk_assets


@pytest.mark.parametrize("name", desk_assets.CERTIFICATES)
def test_node_trusts_the_authorities_that_python_is_told_to_trust(name: str) -> None:
    assert desk_assets.authorities({name: "/etc/ours.pem"}) == {"NODE_EXTRA_CA_CERTS": "/etc/ours.pem"}


def test_where_no_authority_is_named_node_has_its_own() -> None:
    assert desk_assets.authorities({"SSL_CERT_FILE": ""}) == {}
