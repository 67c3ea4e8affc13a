"""A name server for tests: answers TXT questions over UDP by the JSON object given (name -> list of texts), all else with "no such
name". It ends with its stdin."""

import json, os, socket, struct, sys, threading

records = {name.lower().rstrip("."): texts for name, texts in json.loads(sys.argv[1]).items()}


def read_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii", "replace"))
        at += packet[at] + 1
    return ".".join(labels).lower(), at + 1


def answer(packet):
    name, end = read_name(packet, 12)
    kind = struct.unpack("!H", packet[end : end + 2])[0]
    question = packet[12 : end + 4]
    texts = records.get(name, []) if kind == 16 else []
    head = packet[:2] + struct.pack("!HHHHH", 0x8580 if name in records else 0x8583, 1, len(texts), 0, 0)
    body = b""
    for text in texts:
        data = text.encode()
        pieces = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255))
        body += b"\xc0\x0c" + struct.pack("!HHIH", 16, 1, 60, len(pieces)) + pieces
    return head + question + body


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
print(json.dumps({"event": "listening", "port": server.getsockname()[1]}), flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    packet, sender = server.recvfrom(4096)
    try:
        server.sendto(answer(packet), sender)
    except (IndexError, struct.error):
        pass
