"""Why a request got no answer."""


class ServerRefusesError(Exception):
    """No request can succeed as things are set up: wrong key, wrong model, wrong limits."""


class ServersDownError(Exception):
    """No server has answered for too long."""


class BudgetSpentError(Exception):
    """The next request could go over the budget. What was in flight has been answered."""


class GivenUpError(Exception):
    """Every try of one request failed while others went well."""


class TroubleError(Exception):
    """A sending that may go better another time; nobody outside this package sees it."""

    def __init__(self, what: str, words: str, retry_after_s: float | None = None) -> None:
        """Args:
            what: the kind it is counted under: an HTTP status, timeout, dropped, half_answer.
            words: what happened.
            retry_after_s: how long the server asks to be left alone, seconds.
        """
        super().__init__(words)
        self.what, self.retry_after_s = what, retry_after_s
