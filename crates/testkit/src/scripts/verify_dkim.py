"""Verifies the DKIM signatures of the mail on stdin against the TXT record given for the name given (python3-dkim).

Good if the signature with the key of that name is: a mail may carry several."""

import sys

import dkim

name, record = (argument.encode() for argument in sys.argv[1:3])
mail = dkim.DKIM(sys.stdin.buffer.read())
signatures = [header for header in mail.headers if header[0].lower() == b"dkim-signature"]


def is_good(index):
    try:
        return mail.verify(idx=index, dnsfunc=lambda asked, timeout=5: record if asked.rstrip(b".") == name else None)
    except dkim.DKIMException:
        return False


print("good" if any(is_good(index) for index in range(len(signatures))) else "bad")
