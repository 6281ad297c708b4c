"""`python -m services.planner` runs the planner."""

from libs.common.runtime import starting

with starting.imports():
    from libs.common.runtime import worker
    from services.planner.app import create_app

worker.run("planner", create_app)
