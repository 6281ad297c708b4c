"""Which broadcasts are drafts: the condition stands here once, and in `Broadcast.is_draft` for one that is loaded."""

from libs.common.domain.states import SegmentRole


def is_draft(broadcast: str) -> str:
    """Return the condition that a broadcast goes to nobody as it is; `broadcast` is the alias of its row."""
    return f"""({broadcast}.draft OR NOT EXISTS (
    SELECT FROM broadcasts_segments ds WHERE ds.broadcast_id = {broadcast}.id AND ds.role = '{SegmentRole.SHARE}'))"""
