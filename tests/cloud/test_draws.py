"""The data that a benchmark needs: the durations that were drawn, and their resources."""

from __future__ import annotations

from conftest import TRUST, Account


def test_what_was_drawn_can_be_asked_for(account: Account) -> None:
    account.client("iam").create_role(RoleName="spreading", AssumeRolePolicyDocument=TRUST)
    drawn = [each for each in account.control("GET", "draws") if each["name"] == "iam_propagation"]
    assert [each["of"] for each in drawn] == ["spreading"]
    account.control("POST", "reset")
    assert account.control("GET", "draws") == []
