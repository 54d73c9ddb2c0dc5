"""How fast tickwire is: committed scripts, run by ``make bench`` (``python -m benchmarks --help``).

Every benchmark states its inputs, measures its rival in the same run, and gives percentiles and ratios; nothing here
judges a time. Server and load run on one core each where there are two. Linux only: figures of a process come from
its CPU clock and ``/proc``.
"""
