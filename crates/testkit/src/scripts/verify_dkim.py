"""Verifies the DKIM signature of the mail on stdin against the TXT record given for the name given (python3-dkim)."""

import sys

import dkim

name, record = (argument.encode() for argument in sys.argv[1:3])
mail = sys.stdin.buffer.read()
good = dkim.verify(mail, dnsfunc=lambda asked, timeout=5: record if asked.rstrip(b".") == name else None)
print("good" if good else "bad")
