// The business's own site: it serves the page with the inbox in it, signs the tokens of its users, and passes what is
// Stentor's on to Stentor, as a reverse proxy would. That is also where a test cuts the network or refuses WebSockets.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";

import { ROOT, type Stentor } from "./stentor.ts";

/** What every page of a test stands under: no inline script, no inline style, nothing from elsewhere. */
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'";

/** A widget that is not embedded yet, to try it without building the binary: `WIDGET=crates/api/src/pages/stentor-inbox.js`. */
const WIDGET = process.env.WIDGET && join(ROOT, process.env.WIDGET);

const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 48"><path fill="#7fa6c2" d="M0 0h64v48H0z"/><path fill="#27496d" d="M0 48 20 16l14 18 10-12 20 26z"/></svg>`;

export class Host {
  /** False: the network is cut. Nothing gets through, in either direction, and what was open is broken off. */
  #up = true;
  /** False: upgrades are answered 403, as some proxies do. */
  webSockets = true;
  /** False: `/v1/inbox/events` is answered 502 as well. */
  events = true;
  /** False: Stentor is not reached from here; the site itself is there. */
  reachable = true;
  /** How long the tokens live that it signs, in seconds. */
  tokenLife = 600;
  /** How many tokens it signed. */
  tokens = 0;
  /** How many WebSockets are open through it. */
  sockets = 0;
  /** Every path asked of Stentor through it. */
  asked: string[] = [];

  #pages = new Map<string, { type: string; body: string; policy?: string }>();
  #open = new Set<Duplex>();
  #server: Server;

  private constructor(readonly stentor: Stentor) {
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on("connection", (socket) => this.#keep(socket));
  }

  static async start(stentor: Stentor): Promise<Host> {
    const host = new Host(stentor);
    await new Promise<void>((ready) => host.#server.listen(0, "127.0.0.1", ready));
    host.page("/picture.svg", PICTURE, "image/svg+xml");
    return host;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Serves something of the business's own. */
  page(path: string, body: string, type = "text/html; charset=utf-8", policy = POLICY): string {
    this.#pages.set(path, { type, body, policy });
    return this.url + path;
  }

  /** Serves a page with this markup and the widget, and gives its URL. */
  inboxPage(path: string, markup: string, head = ""): string {
    this.page("/page.css", "body { margin: 24px; font: 16px/1.5 system-ui, sans-serif } .bar { display: flex; justify-content: flex-end } @media (prefers-color-scheme: dark) { body { background: #101317; color: #e8eaed } }", "text/css");
    return this.page(path, `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>A site</title><link rel="icon" href="/picture.svg"><link rel="stylesheet" href="/page.css">${head}
<script type="module" src="/widget/v1/stentor-inbox.js"></script></head><body><main><h1>A site</h1>${markup}</main></body></html>`);
  }

  /** A token as the business's back end signs it. */
  token(recipient: string, life = this.tokenLife): string {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const { app, inbox_secret } = this.stentor.ready;
    const claims = { aud: "stentor-inbox", app, sub: recipient, exp: Math.floor(Date.now() / 1000) + life };
    const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
    return `${signed}.${createHmac("sha256", inbox_secret).update(signed).digest("base64url")}`;
  }

  cut(): void {
    this.#up = false;
    for (const socket of this.#open) socket.destroy();
  }

  restore(): void {
    this.#up = true;
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((done) => this.#server.close(done));
  }

  #keep(socket: Duplex): void {
    if (!this.#up) {
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    socket.on("close", () => this.#open.delete(socket));
    socket.on("error", () => socket.destroy());
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url!, this.url);
    const page = this.#pages.get(url.pathname);
    if (WIDGET && url.pathname === "/widget/v1/stentor-inbox.js") {
      response.writeHead(200, { "content-type": "text/javascript" }).end(readFileSync(WIDGET));
    } else if (page) {
      response.writeHead(200, { "content-type": page.type, "content-security-policy": page.policy, "cache-control": "no-store" });
      response.end(page.body);
    } else if (url.pathname === "/token") {
      this.tokens += 1;
      response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(JSON.stringify({ token: this.token(url.searchParams.get("for") ?? "ada") }));
    } else if (url.pathname === "/v1/inbox/events" && !this.events) {
      response.writeHead(502).end();
    } else {
      this.#pass(request, response);
    }
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    if (!this.reachable && !request.url!.startsWith("/widget/")) {
      response.writeHead(502).end();
      return;
    }
    this.asked.push(`${request.method} ${request.url}`);
    const { hostname, port } = new URL(this.stentor.url);
    const onward = ask({ hostname, port, method: request.method, path: request.url, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    onward.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.asked.push(`${request.method} ${request.url}`);
    if (!this.webSockets || !this.reachable) {
      socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
      return;
    }
    const { hostname, port } = new URL(this.stentor.url);
    const onward: Socket = connect(Number(port), hostname, () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let i = 0; i < request.rawHeaders.length; i += 2) lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
      onward.write(`${lines.join("\r\n")}\r\n\r\n`);
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    this.#keep(onward);
    this.sockets += 1;
    socket.on("close", () => {
      this.sockets -= 1;
      onward.destroy();
    });
    onward.on("close", () => socket.destroy());
    socket.on("error", () => onward.destroy());
  }
}
