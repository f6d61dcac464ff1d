"""Fixtures that every suite shares."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The optional folder of real data that does not ship with the project.

    Missing, the test is skipped with the reason; on a continuous-integration machine that is a failure.
    """
    folder = Path(os.environ.get("NIGHT_PATROL_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if folder.is_dir():
        return folder
    reason = f"{folder}: no test data; set NIGHT_PATROL_TEST_DATA to the folder with aerial/, crowd/ ..."
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
