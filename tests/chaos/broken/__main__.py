"""`python -m tests.chaos.broken fence services.sender` runs a service without one of its protections."""

import importlib
import runpy
import sys

protection, service = sys.argv[1:]
importlib.import_module(f"tests.chaos.broken.{protection}").take_away()
sys.argv[1:] = []
runpy.run_module(service, run_name="__main__")
