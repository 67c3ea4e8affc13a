"""A mail server for tests, on Debian's python3-aiosmtpd.

Each mail becomes a file of the folder given. What happens is told on stdout, one JSON object a line. It ends with its
stdin, so that it never outlives the test that started it.

The recipient's local part says what becomes of a mail:
  refuse-CODE      RCPT is answered with CODE
  greylist-…       the first RCPT is answered with 450, later ones are taken
  data-CODE        the text is answered with CODE, and not kept
  stall-rcpt       RCPT is never answered
  stall-data       the text is never answered, and not kept
  drop-data        the connection breaks after the text, which is not kept
  anything else    it is taken
"""

import argparse, asyncio, json, logging, os, ssl, sys, threading, warnings

from aiosmtpd.smtp import SMTP, AuthResult

options = argparse.ArgumentParser()
options.add_argument("folder")
options.add_argument("--port", type=int, default=0)
options.add_argument("--certificate")
options.add_argument("--key")
options.add_argument("--wrapped", action="store_true", help="TLS from the first byte instead of STARTTLS")
options.add_argument("--login", help="user:password, and none gets in without")
options.add_argument("--utf8", action="store_true", help="offer SMTPUTF8")
options = options.parse_args()


# What goes wrong on purpose would fill the tests' output.
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
warnings.simplefilter("ignore")


def tell(event, **fields):
    # In one piece: two threads tell.
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


class Handler:
    greylisted = set()
    mails = 0

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        local = address.rsplit("@", 1)[0]
        if local == "stall-rcpt":
            tell("stalled")
            await asyncio.Event().wait()
        if local.startswith("refuse-"):
            tell("refused", to=address)
            return f"{local[7:10]} 5.1.1 <{address}>: no thanks"
        if local.startswith("greylist-") and address not in self.greylisted:
            self.greylisted.add(address)
            tell("refused", to=address, **{"from": envelope.mail_from})
            return "450 4.2.0 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        local = envelope.rcpt_tos[0].rsplit("@", 1)[0]
        if local.startswith("data-"):
            tell("refused", to=envelope.rcpt_tos[0])
            return f"{local[5:8]} 5.6.0 the text is not wanted"
        if local == "stall-data":
            tell("stalled")
            await asyncio.Event().wait()
        if local == "drop-data":
            tell("dropped")
            server.transport.abort()
            await asyncio.Event().wait()
        Handler.mails += 1
        name = f"{Handler.mails:06}.eml"
        draft = os.path.join(options.folder, "." + name)
        with open(draft, "wb") as file:
            file.write(envelope.original_content)
        os.rename(draft, os.path.join(options.folder, name))
        tell("mail", file=name, to=envelope.rcpt_tos, **{"from": envelope.mail_from})
        return "250 2.0.0 OK"


class Session(SMTP):
    def connection_made(self, transport):
        tell("connected", encrypted=transport.get_extra_info("sslcontext") is not None)
        super().connection_made(transport)


def authenticate(server, session, envelope, mechanism, data):
    given = f"{data.login.decode()}:{data.password.decode()}"
    return AuthResult(success=given == options.login, handled=False)


async def main():
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate, options.key)
    handler = Handler()

    def session():
        return Session(
            handler,
            hostname="localhost",  # else it asks the DNS for our name
            enable_SMTPUTF8=options.utf8,
            tls_context=None if options.wrapped else tls,
            require_starttls=bool(tls) and not options.wrapped,
            authenticator=authenticate if options.login else None,
            auth_required=bool(options.login),
            auth_require_tls=False,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", options.port, ssl=tls if options.wrapped else None)
    tell("listening", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


def listen_to_stdin():
    for _ in sys.stdin:
        tell("told")
    os._exit(0)


threading.Thread(target=listen_to_stdin, daemon=True).start()
asyncio.run(main())
