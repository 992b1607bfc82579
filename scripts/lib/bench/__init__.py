"""What the issues promise in numbers, measured. Run one by ``scripts/bench NAME``.

To add one, put a file ``NAME.py`` beside this (helpers of several start with an underscore):

- the first line of its docstring says what it measures: ``scripts/bench`` lists it;
- ``PEERS = True`` if it needs the independent programs of ``scripts/lib/peers.sh``;
- ``main(words)`` takes its options by ``_report.parser(__doc__)``, which has ``--quick`` (a run of
  at most a few minutes), measures, prints tables by ``_report.table``, and ends with
  ``_report.finish``: a table of figure, value and goal, then the figures as JSON in one last line;
- a line in ``tests/lib/bench/test_benches.py``: the smallest run, and the keys that it must give;
- its command and table in ``docs/performance.md``.

A bench that misses its goal still ends with 0: it measures; what must never fail is a test.
"""
