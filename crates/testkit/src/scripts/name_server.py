"""A name server for tests: answers TXT questions over UDP by the JSON object given (name -> list of texts), MX questions by those that are
"MX host", all else with "no such name". It ends with its stdin."""

import json, os, socket, struct, sys, threading

TXT, MX = 16, 15
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
    known = records.get(name, [])
    if kind == MX:
        found = [struct.pack("!H", 10) + in_labels(text[3:]) for text in known if text.startswith("MX ")]
    else:
        found = [in_pieces(text.encode()) for text in known if kind == TXT and not text.startswith("MX ")]
    head = packet[:2] + struct.pack("!HHHHH", 0x8580 if name in records else 0x8583, 1, len(found), 0, 0)
    return head + question + b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for data in found)


def in_pieces(data):
    return b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255))


def in_labels(host):
    return b"".join(bytes([len(label)]) + label.encode() for label in host.split(".") if label) + b"\0"


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
