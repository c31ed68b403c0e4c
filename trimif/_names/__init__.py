"""Translate Name: names to addresses, inside one provisioning domain (draft 3.5.16)."""

from trimif._names._translate import translate as translate
