"""The recording process: capture and vault put together, apart from Home Assistant.

``host`` is the end that Home Assistant's process has, ``worker`` the other one; ``messages`` go
between them. Each end imports its own.
"""
