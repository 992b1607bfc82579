"""What can go wrong in the vault."""

import errno

from roomwitness.errors import WitnessError


class VaultUnwritable(WitnessError):
    """The vault's folder or disk cannot be written."""

    key = "vault_unwritable"


class IndexBusy(VaultUnwritable):
    """Another process writes into the index: it is tried again."""


class VaultFull(WitnessError):
    """The vault's disk is full."""

    key = "vault_full"


class SegmentCorrupted(WitnessError):
    """A segment is missing, shortened or changed."""

    key = "segment_corrupted"


class KeyMissing(WitnessError):
    """The key is not here, or the identity given does not open it."""

    key = "key_missing"


class RecordingSealed(KeyMissing):
    """Only a custodian can open the recording: it has no wrap for the site."""

    key = "recording_sealed"


class CustodiansUnusable(WitnessError):
    """No custodian's recipient could be encrypted to, so nobody could open the recording."""

    key = "custodians_unusable"


class AgeFormatError(WitnessError):
    """The bytes are not an age file that this reader claims (age-encryption.org/v1)."""

    key = "age_format_error"


class IdentityInvalid(WitnessError):
    """The text is not an age identity or recipient."""

    key = "identity_invalid"


class IdentityOnToken(WitnessError):
    """The identity's secret is in a hardware token: the ``age`` program opens what is its own."""

    key = "identity_on_token"


class RecipientsMixed(WitnessError):
    """A post-quantum recipient and another one may not share a file (c2sp.org/age)."""

    key = "recipients_mixed"


class PluginMissing(WitnessError):
    """The program that encrypts to a recipient, ``age-plugin-NAME``, is not on ``PATH``."""

    key = "plugin_missing"


class PluginFailed(WitnessError):
    """The program that encrypts to a recipient did not do its work."""

    key = "plugin_failed"


class VaultInUse(WitnessError):
    """Another process has the vault open."""

    key = "vault_in_use"


class VaultElsewhere(WitnessError):
    """The folder is empty, and there are keys of recordings: the vault's disk is not there."""

    key = "vault_elsewhere"


class StoreError(WitnessError):
    """The index or a key store is damaged or was made by a newer version."""

    key = "store_error"


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def disk_error(err: OSError) -> VaultFull | VaultUnwritable:
    """Translate an operating system's error without its path."""
    if err.errno in _FULL:
        return VaultFull(f"errno {err.errno}")
    return VaultUnwritable(f"errno {err.errno}")
