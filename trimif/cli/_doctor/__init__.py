"""``trimif doctor``: what is wrong with a host for somebody who uses several networks at once, and the remedy.

Theory of operation: `_look` takes one frozen `Picture` of the host, by looking alone: the MIF's snapshot, the kernel's
tables and its own answers to "which way would this packet go?", parameters under /proc/sys, /etc/resolv.conf, the
programs that configure interfaces. Then each `Check` is a pure function of the picture that yields a `Finding` for
each thing that is wrong. `_report` draws or lists them. Nothing is sent to any network besides what `open_mif` sends,
and nothing on the host is changed: the remedies are for a person to paste.
"""
