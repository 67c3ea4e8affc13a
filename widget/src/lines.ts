// The three ways to the server, all with the same frames: WebSocket, server-sent events, long poll.
import { type Command, type OpenedItem, PROTOCOL, type ServerFrame } from "./frames.js";
import { Refused, type Rest } from "./rest.js";
import { Broken, Waiting } from "./waiting.js";

/** How long until the first frame: a proxy may swallow what it does not know. */
const WELCOME_WITHIN = 8_000;
/** How often a silent WebSocket is asked whether the server is there, and how long the answer may take. */
const PING_EVERY = 30_000;
const PONG_WITHIN = 10_000;
/** After so long without a byte (the server sends one every 15 s), a stream is dead. */
const SILENT = 40_000;

/** Why a line ended. */
export interface End {
  /** `token`: another is wanted. `forbidden`: not to this page. `crowded`: much later. `broken`: anything else. */
  why: "token" | "forbidden" | "crowded" | "broken";
  /** Not before so many ms. */
  after?: number;
}

/** What a status means, and a code with which a socket is closed. */
const WHY: Record<number, End["why"]> = { 401: "token", 403: "forbidden", 429: "crowded", 4401: "token", 4403: "forbidden", 4409: "crowded" };

/** What a line tells. `ended` comes once and last. */
export interface Listener {
  frame(frame: ServerFrame): void;
  ended(end: End): void;
}

/** A connection to the server. */
export interface Line {
  /** Asks for something; rejects with `Refused`, or when the line ends. */
  ask(command: Command): Promise<ServerFrame>;
  /** Shows a new token. */
  renew(token: string): void;
  /** Is the other side still there? If not, the line ends. */
  check(): void;
  /** Ends it without a word to the listener. */
  close(): void;
}

export interface Opening {
  rest: Rest;
  token: string;
  cursor: string | undefined;
  listener: Listener;
}

export type Way = "ws" | "sse" | "poll";

export const open = (way: Way, opening: Opening): Line =>
  way === "ws" ? new Socket(opening) : way === "sse" ? new Events(opening) : new Polls(opening);

class Socket implements Line {
  #socket: WebSocket;
  #waiting = new Waiting();
  #listener: Listener | undefined;
  #timer: ReturnType<typeof setTimeout>;

  constructor({ rest, token, cursor, listener }: Opening) {
    this.#listener = listener;
    this.#socket = new WebSocket(rest.url("/v1/inbox/ws").replace(/^http/, "ws"), PROTOCOL);
    this.#timer = setTimeout(() => this.#end({ why: "broken" }), WELCOME_WITHIN);
    this.#socket.onopen = () => this.#send({ type: "auth", token, cursor });
    this.#socket.onmessage = (event) => this.#take(JSON.parse(event.data));
    this.#socket.onclose = ({ code }) => this.#end({ why: WHY[code] ?? "broken" });
  }

  ask(command: Command | { type: "auth"; token: string }): Promise<ServerFrame> {
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.reject(new Broken());
    return this.#waiting.ask((ref) => this.#send({ ...command, ref }));
  }

  renew(token: string): void {
    this.ask({ type: "auth", token }).catch(() => {}); // if it is not taken, the server ends the connection in time
  }

  check(): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end({ why: "broken" }), PONG_WITHIN);
    this.#send({ type: "ping" });
  }

  close(): void {
    this.#listener = undefined;
    this.#end({ why: "broken" });
  }

  #send(frame: object): void {
    this.#socket.send(JSON.stringify(frame));
  }

  #take(frame: ServerFrame): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.check(), PING_EVERY);
    this.#listener?.frame(frame);
    if (frame.type === "resync") this.#waiting.fail(); // answers that waited to be read were dropped with the rest
    if ("ref" in frame) this.#waiting.answer(frame.ref!, frame.type === "error" ? new Refused(frame.code, frame.message) : frame);
  }

  #end(end: End): void {
    clearTimeout(this.#timer);
    this.#socket.onclose = this.#socket.onmessage = this.#socket.onopen = null;
    this.#socket.close();
    this.#waiting.fail();
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.ended(end);
  }
}

/** What the two ways over plain HTTP share: what is asked for goes over REST, and comes back to all by the stream. */
abstract class Http implements Line {
  protected readonly rest: Rest;
  protected readonly stop = new AbortController();
  protected listener: Listener | undefined;
  protected token: string;
  protected cursor: string | undefined;

  constructor({ rest, token, cursor, listener }: Opening) {
    [this.rest, this.token, this.cursor, this.listener] = [rest, token, cursor, listener];
    // In a turn of its own, so that whoever opens it holds it before it ends.
    setTimeout(() => void this.run().catch((error) => this.end(error)), 0);
  }

  protected abstract run(): Promise<void>;

  async ask(command: Command): Promise<ServerFrame> {
    const { rest, token } = this;
    const item = (id: string) => `/v1/inbox/items/${encodeURIComponent(id)}`;
    try {
      switch (command.type) {
        case "open": {
          const found = await rest.json<OpenedItem>("GET", item(command.id), token);
          await rest.json("POST", `${item(command.id)}/read`, token);
          return { type: "content", item: found };
        }
        case "list": {
          const { limit = 20, after, category, archived } = command;
          const query = new URLSearchParams({ limit: `${limit}`, ...(after && { after }), ...(category && { category }), ...(archived && { archived: "true" }) });
          return { type: "page", ...(await rest.json<{ items: []; next: string | null }>("GET", `/v1/inbox?${query}`, token)) };
        }
        case "read_all":
          await rest.json("POST", "/v1/inbox/read-all", token, { cursor: command.cursor });
          return { type: "ok" };
        case "ping":
          return { type: "pong" };
        default:
          for (const id of command.ids) await rest.json("POST", `${item(id)}/${command.type}`, token);
          return { type: "ok" };
      }
    } catch (error) {
      throw error instanceof Refused && error.status < 500 ? error : new Broken();
    }
  }

  renew(token: string): void {
    this.token = token;
  }

  check(): void {}

  close(): void {
    this.listener = undefined;
    this.stop.abort();
  }

  protected take(frame: ServerFrame): void {
    if ("cursor" in frame) this.cursor = frame.cursor;
    this.listener?.frame(frame);
  }

  protected end(error?: unknown): void {
    this.stop.abort();
    const listener = this.listener;
    this.listener = undefined;
    const { status = 0, after } = (error ?? {}) as Partial<Refused>;
    listener?.ended({ why: WHY[status] ?? "broken", after });
  }
}

class Events extends Http {
  protected async run(): Promise<void> {
    let alive = this.#within(WELCOME_WITHIN);
    const query = this.cursor ? `?cursor=${encodeURIComponent(this.cursor)}` : "";
    const response = await this.rest.ask("GET", `/v1/inbox/events${query}`, this.token, undefined, this.stop.signal);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let welcomed = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const events = (text + value).split("\n\n");
      text = events.pop()!;
      for (const event of events) {
        const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
        if (data) this.take(JSON.parse(data));
        welcomed ||= data !== "";
      }
      if (welcomed) {
        clearTimeout(alive);
        alive = this.#within(SILENT);
      }
    }
    clearTimeout(alive);
    this.end();
  }

  /** The stream is good for as long as the token with which it began: it begins anew, where it was. */
  override renew(token: string): void {
    super.renew(token);
    this.end();
  }

  #within = (ms: number) => setTimeout(() => this.end(), ms);
}

class Polls extends Http {
  protected async run(): Promise<void> {
    // The first one does not wait: it says how things are.
    for (let wait = 0; this.listener; wait = 25) {
      const query = new URLSearchParams({ wait: `${wait}`, ...(this.cursor && { cursor: this.cursor }) });
      const late = setTimeout(() => this.end(), wait * 1_000 + WELCOME_WITHIN);
      const polled = await this.rest
        .json<{ frames: ServerFrame[]; cursor: string }>("GET", `/v1/inbox/poll?${query}`, this.token, undefined, this.stop.signal)
        .finally(() => clearTimeout(late));
      for (const frame of polled.frames) this.take(frame);
      this.cursor = polled.cursor;
      if (wait === 0) this.listener?.frame({ type: "pong" });
    }
  }
}
