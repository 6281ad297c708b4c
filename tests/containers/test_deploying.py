"""A rolling deploy: the release before this one and this one side by side, on the same queues and the same schema.

`deploy/previous-release` names the commit that counts as the release before. Each service of both is in the project at
once: `planner` is the older, `planner-next` the newer.
"""

import io
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from libs.console.verdict import judge
from tests.containers import support
from tests.containers.broadcasts import FIRST, SECOND, schedule, state
from tests.containers.support import ROOT, SERVICES, Stack

RATE = 8  # texts a second: a phase lasts while services change
RECIPIENTS = 100
SETTLE = 240.0  # seconds

#: The older release knows no file for the command line's settings.
MIGRATE = (
    "import pathlib; from libs.common.migrate import migrate;"
    " migrate(pathlib.Path('/run/secrets/database_url').read_text().strip())"
)


@pytest.fixture(scope="module")
def previous() -> Iterator[str]:
    """The tag of the older release's image, built by this one's Dockerfile."""
    commit = (ROOT / "deploy" / "previous-release").read_text().strip()
    archive = subprocess.run(["git", "archive", commit], capture_output=True, cwd=ROOT, check=False)
    if archive.returncode != 0:
        pytest.skip(f"this clone does not have the previous release, {commit}: `git fetch --unshallow` gets it")
    tag = f"broadsheet-test:previous-{uuid4().hex[:8]}"
    build = ["docker", "build", "--quiet", "--tag", tag, "--file", "deploy/Dockerfile", "-"]
    context = io.BytesIO(archive.stdout)
    with tarfile.open(fileobj=context, mode="a") as tar:
        tar.add(ROOT / "deploy" / "Dockerfile", "deploy/Dockerfile")
    subprocess.run(build, input=context.getvalue(), capture_output=True, check=True)
    yield tag
    support.docker("image", "rm", "--force", tag, check=False)


@pytest.fixture(scope="module")
def deploy(folder: Path, image: str, previous: str) -> Iterator[Stack]:
    """The older release's services, healthy on the older release's schema."""
    with support.stack(folder, previous, SEND_RATE=str(RATE)) as stack:
        both = folder / "rolling.yml"
        both.write_text(
            "services:\n"
            f'  migrate: {{command: [python, -c, "{MIGRATE}"]}}\n'
            f"  simulator: {{image: '{image}'}}\n"
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
        support.until(lambda: state(client, broadcast_id) == "sending_first", what="the first texts")
        # Staff pause while containers start, so that a slow machine does not miss the half of it.
        client.call("POST", f"/broadcasts/{broadcast_id}/pause")
        # The schema first: it only adds, and the older services go on.
        deploy.run("run", "--rm", "--no-deps", "--no-TTY", "migrate-next")
        deploy.healthy(*SERVICES)
        # For a while, both releases of every service.
        deploy.start(*following, needed=False)
        deploy.healthy(*SERVICES)
        client.call("POST", f"/broadcasts/{broadcast_id}/resume")
        time.sleep(5)
        assert state(client, broadcast_id) != "completed"
    with deploy.api("api-next") as client:
        # Then one after the other ends.
        for name in SERVICES:
            deploy.run("stop", name)
        # Two go back, on the newer schema, and have the rest to do.
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
    assert len(planned) == 2 * len({text["phone_number"] for text in planned}) == 2 * RECIPIENTS
    for name in (*SERVICES, *following):
        worked = [support.logs(each) for each in deploy.containers(name)]
        assert not [line for log in worked for line in log.splitlines() if "Traceback" in line], name
        if name.startswith("sender"):
            assert "batch_sent" in worked[0], f"{name} sent nothing: it was not part of this"
