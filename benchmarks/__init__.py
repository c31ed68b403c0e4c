"""What trimif costs, beside other ways to do the same, in one run: ``python -m benchmarks`` (needs root, or an
unprivileged user namespace).

Everything happens in network namespaces of its own. The process that makes the changes (`_changes`) and each reader
(`_readers`) is a process of its own, so that CPU time is that of the reader alone. Absolute figures depend on the
machine and on what else it does; ratios within one run are what counts, so the readers take turns, round by round.
"""
