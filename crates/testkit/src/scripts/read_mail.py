"""Reads a mail from stdin and prints it as JSON: decoded headers, and the leaf parts in order."""

import email, email.policy, json, sys

mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = [part for part in mail.walk() if not part.is_multipart()]
print(json.dumps({
    "type": mail.get_content_type(),
    "headers": {name.lower(): str(value) for name, value in mail.items()},
    "defects": [repr(defect) for part in mail.walk() for defect in part.defects],
    "parts": [{"type": part.get_content_type(), "text": part.get_content()} for part in parts],
}))
