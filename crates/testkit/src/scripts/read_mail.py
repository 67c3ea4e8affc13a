"""Reads a mail from stdin and prints it as JSON: decoded headers, and the leaf parts in order."""

import base64, email, email.policy, json, sys

mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = [part for part in mail.walk() if not part.is_multipart()]


def told(part):
    content = part.get_content()
    return {
        "type": part.get_content_type(),
        "text": content if isinstance(content, str) else None,
        "base64": None if isinstance(content, str) else base64.b64encode(content).decode(),
        "name": part.get_filename(),
        "disposition": part.get_content_disposition(),
        "content_id": part["content-id"],
    }


print(json.dumps({
    "type": mail.get_content_type(),
    "structure": [part.get_content_type() for part in mail.walk()],
    "headers": {name.lower(): str(value) for name, value in mail.items()},
    "defects": [repr(defect) for part in mail.walk() for defect in part.defects],
    "parts": [told(part) for part in parts],
}))
