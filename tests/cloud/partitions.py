"""The partitions of AWS: the regions of China and of the US government are apart, with ARNs and names of their own."""

from __future__ import annotations

from moto.utilities.utils import get_partition

_of_account: dict[str, str] = {}


def of(region: str) -> str:
    """The partition of a region, as ARNs name it."""
    return get_partition(region)


def dns_suffix(region: str) -> str:
    """How the names of AWS's hosts end in a region."""
    return "amazonaws.com.cn" if of(region) == "aws-cn" else "amazonaws.com"


def note(account_id: str, region: str) -> None:
    """Remembers where an account is: no account is in two partitions."""
    _of_account[account_id] = of(region)


def of_account(account_id: str) -> str:
    """The partition of an account, as its calls show it."""
    return _of_account.get(account_id, "aws")
