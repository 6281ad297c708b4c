"""What settings are called, and what gives away that one is not meant for use."""

PREFIX = "BROADSHEET_"

#: What every secret of deploy/simulated has in it.
DEVELOPMENT_ONLY = "development-only"
