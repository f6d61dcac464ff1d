"""The one base of every error that a person may read."""


class NightPatrolError(Exception):
    """Something is wrong that a person can mend; the message says what, where and what to do.

    The command line prints the message alone (no traceback) and exits with `exit_code`.
    """

    exit_code = 1


class UsageError(NightPatrolError):
    """The command or a setting cannot be carried out as given."""

    exit_code = 2
