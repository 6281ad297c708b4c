"""`python -m services.sender` runs the sender."""

from libs.common.runtime import starting

with starting.imports():
    from libs.common.runtime import worker
    from services.sender.app import create_app

worker.run("sender", create_app)
