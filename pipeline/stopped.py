"""What ends the work on a video for now."""


class StoppedError(Exception):
    """The build cannot go on with this video now, and can another time: the budget is spent, or an answer that is
    not stored can be asked of nobody."""
