"""`python -m services.twilio_sync` runs twilio_sync."""

from libs.common.runtime import starting

with starting.imports():
    from libs.common.runtime import worker
    from services.twilio_sync.app import create_app

worker.run("twilio_sync", create_app)
