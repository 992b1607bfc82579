"""``python -m bench NAME ...``, for ``scripts/bench``.

The bench is imported, not run as ``__main__``: children that multiprocessing starts find its
functions by that name, and do not run it a second time.
"""

import importlib
import sys

importlib.import_module(f"bench.{sys.argv[1]}").main(sys.argv[2:])
