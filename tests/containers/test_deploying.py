"""A rolling deploy: two sets of services side by side, on the same queues and the same schema.

Both are of this release, so what is seen is how services join and leave: no older one can run on this schema, since the
migrations before 1.0 became one (nothing was deployed), and it has other names of constraints, sequences and events.
From the first release on, let the older set be an image of that. Each service is in the project twice: `planner` is the
older, `planner-next` the newer.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.console.ledger_check import judge
from tests.containers import support
from tests.containers.broadcasts import FIRST, SECOND, schedule, state
from tests.containers.support import ROOT, SERVICES, Stack

RATE = 8  # messages a second: a phase lasts while services change
RECIPIENTS = 100
SETTLE = 240.0  # seconds


@pytest.fixture(scope="module")
def deploy(folder: Path, image: str) -> Iterator[Stack]:
    """The older services, healthy, and the newer ones beside them, not started."""
    with support.stack(folder, image, SEND_RATE=str(RATE), QUIET_HOURS="") as stack:
        both = folder / "rolling.yml"
        both.write_text(
            "services:\n"
            f"  migrate-next: {{extends: {{file: '{ROOT / 'docker-compose.yml'}', service: migrate}}, image: '{image}',"
            " profiles: [demo]}\n"
            + "".join(
                f"  {name}-next:\n"
                f"    extends: {{file: '{ROOT / 'docker-compose.yml'}', service: {name}}}\n"
                f"    image: '{image}'\n"
                # The carriers' webhooks go to whichever answers.
                f"    networks: {{default: {{aliases: [{name}]}}}}\n"
                "    profiles: [demo]\n"
                for name in SERVICES
            )
        )
        stack.files = ["docker-compose.yml", str(both)]
        stack.start()
        yield stack


def test_a_broadcast_lives_through_a_rolling_deploy_and_a_step_back(deploy: Stack) -> None:
    following = [f"{name}-next" for name in SERVICES]
    with deploy.api() as client:
        broadcast_id = schedule(client, RECIPIENTS)
        support.until(lambda: state(client, broadcast_id) == "sending_first", what="the first messages")
        # Staff pause while containers start, so that a slow machine does not miss the half of it.
        client.call("POST", f"/broadcasts/{broadcast_id}/pause")
        # The schema first, though there is nothing to change: the older services go on.
        deploy.run("run", "--rm", "--no-deps", "--no-TTY", "migrate-next")
        deploy.healthy(*SERVICES)
        # For a while, both of every service.
        deploy.start(*following, needed=False)
        deploy.healthy(*SERVICES)
        client.call("POST", f"/broadcasts/{broadcast_id}/resume")
        time.sleep(5)
        assert state(client, broadcast_id) != "completed"
    with deploy.api("api-next") as client:
        # Then one after the other ends.
        for name in SERVICES:
            deploy.run("stop", name)
        # Two go back, and have the rest to do.
        if paused := state(client, broadcast_id) in ("sending_first", "waiting", "sending_second"):
            client.call("POST", f"/broadcasts/{broadcast_id}/pause")
        back = ("planner", "sender")
        support.docker("start", *(container for name in back for container in deploy.containers(name)))
        deploy.healthy(*back)
        deploy.run("stop", *(f"{name}-next" for name in back))
        if paused:
            client.call("POST", f"/broadcasts/{broadcast_id}/resume")
        support.until(
            lambda: state(client, broadcast_id) == "completed", what="the end of the broadcast", seconds=SETTLE
        )
        planned = client.all(f"/broadcasts/{broadcast_id}/messages")
    verdict = judge(planned, (FIRST, SECOND), deploy.simulate("GET", "/ledger"))
    assert verdict.holds, verdict
    assert len(planned) == 2 * len({message["phone_number"] for message in planned}) == 2 * RECIPIENTS
    for name in (*SERVICES, *following):
        worked = [support.logs(each) for each in deploy.containers(name)]
        assert not [line for log in worked for line in log.splitlines() if "Traceback" in line], name
        if name.startswith("sender"):
            assert "batch_sent" in worked[0], f"{name} sent nothing: it was not part of this"
