"""Fuzzing: every parser of octets or text from outside, fed with what nobody would write.

`parsers` is the list, `mutations` and `attacks` make inputs of good ones, `checks` says what any input may lead to,
`campaign` keeps what led somewhere new. ``pytest`` does a little of it, ``python -m tests.fuzz`` as much as one likes.
"""
