"""The person at the terminal, whom a token's plugin may ask (vault/age/token.py)."""

import getpass
import sys


def _shown(text: str) -> str:
    """What a plugin says, without what would command the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class Terminal:
    """Questions go to standard error: standard output is for what was asked for."""

    def tell(self, message: str) -> None:
        """Show what the plugin says."""
        _say(f"{_shown(message)}\n")

    def ask(self, message: str, *, secret: bool) -> str | None:
        """Read a line; nothing is echoed of a secret, and an empty one is a no."""
        question = f"{_shown(message)} "
        if secret:
            return getpass.getpass(question) or None
        return self._line(question)

    def choose(self, message: str, yes: str, no: str | None) -> bool | None:
        """Read 1 or 2; anything else is no answer."""
        choices = f"1: {yes}" + (f", 2: {no}" if no is not None else "")
        answer = self._line(f"{_shown(message)} ({_shown(choices)}) ")
        known = {"1": True} if no is None else {"1": True, "2": False}
        return known.get(answer or "")

    @staticmethod
    def _line(question: str) -> str | None:
        _say(question)
        return sys.stdin.readline().strip() or None
