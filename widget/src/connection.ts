// Keeps one line open: which way, when to try again, and with which token.
import type { Command, ServerFrame } from "./frames.js";
import { type End, type Line, open, type Way } from "./lines.js";
import type { Rest } from "./rest.js";
import type { Token, Tokens } from "./tokens.js";
import { Broken } from "./waiting.js";

/** `live`: told of everything as it happens. `error`: somebody has to do something; `problem` says what. */
export type Status = "connecting" | "live" | "offline" | "error";
/** `token`: the page gave no valid token. `forbidden`: this page may not open inboxes. `crowded`: too many connections. */
export type Problem = "token" | "forbidden" | "crowded";

/** The ways, the best first. */
const WAYS: Way[] = ["ws", "sse", "poll"];
/** How long another way is good enough before a WebSocket is tried again. */
const TRY_BEST_AFTER = 10 * 60_000;
/** After so long a connection was a good one, and the next break begins with the shortest pause. */
const GOOD_AFTER = 10_000;
/** How often a way that worked before may fail until the others are tried. */
const PATIENCE = 4;
const [FIRST_PAUSE, LONGEST_PAUSE, LONG_PAUSE] = [500, 30_000, 60_000];

export interface Owner {
  cursor(): string | undefined;
  frame(frame: ServerFrame): void;
  status(status: Status, problem?: Problem): void;
}

export class Connection {
  #line: Line | undefined;
  #running = false;
  #welcomed = false;
  /** Which way is tried now. */
  #way = 0;
  #leftBestAt = 0;
  /** How often in a row the best way failed, and whether it ever worked here: then the server is away, and not the way closed. */
  #bestFailed = 0;
  #bestWorks = false;
  /** One of the ways was refused to this page, and none that was tried since is open. */
  #forbidden = false;
  #failures = 0;
  #token: Token | undefined;
  /** The token that the server did not take. */
  #refused: string | undefined;
  #since = 0;
  #notBefore = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly rest: Rest, private readonly tokens: Tokens, private readonly owner: Owner) {}

  /** By which way it goes. */
  get way(): Way {
    return WAYS[this.#way]!;
  }

  start(): void {
    this.#running = true;
    addEventListener("online", this.#hurry);
    addEventListener("offline", this.#check);
    document.addEventListener("visibilitychange", this.#hurry);
    this.owner.status("connecting");
    void this.#open();
  }

  stop(): void {
    this.#running = false;
    removeEventListener("online", this.#hurry);
    removeEventListener("offline", this.#check);
    document.removeEventListener("visibilitychange", this.#hurry);
    clearTimeout(this.#timer);
    clearTimeout(this.#renewal);
    this.#line?.close();
    this.#line = undefined;
  }

  /** Tries at once: somebody pressed the button. */
  retry(): void {
    if (!this.#running || this.#line) return;
    this.#failures = this.#notBefore = 0;
    this.owner.status("connecting");
    this.#again(0);
  }

  ask(command: Command): Promise<ServerFrame> {
    return this.#line && this.#welcomed ? this.#line.ask(command) : Promise.reject(new Broken());
  }

  /** The network is back, or somebody looks: not sooner than the server asked for, and not all at the same moment. */
  #hurry = (): void => {
    if (document.hidden) return;
    if (this.#line) this.#line.check();
    else if (this.#running && this.#timer) this.#again(Math.random() * FIRST_PAUSE);
  };

  #check = (): void => this.#line?.check();

  #again(pause: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#open(), Math.max(pause, this.#notBefore - Date.now()));
  }

  async #open(): Promise<void> {
    this.#timer = undefined;
    let token: Token;
    try {
      token = await this.tokens.get(this.#refused);
    } catch (error) {
      console.warn("stentor-inbox: no token:", error);
      if (this.#running && !this.#line) this.#ended({ why: "token" });
      return;
    }
    if (!this.#running || this.#line) return;
    this.#token = token;
    this.#welcomed = false;
    if (this.#way > 0 && Date.now() - this.#leftBestAt > TRY_BEST_AFTER) this.#way = 0;
    const listener = { frame: (frame: ServerFrame) => this.#frame(frame), ended: (end: End) => this.#ended(end) };
    this.#line = open(this.way, { rest: this.rest, token: token.text, cursor: this.owner.cursor(), listener });
  }

  #frame(frame: ServerFrame): void {
    if (frame.type === "bye") {
      this.#notBefore = Date.now() + frame.reconnect_after_ms;
      return;
    }
    this.owner.frame(frame);
    if (this.#welcomed) return;
    this.#welcomed = true;
    this.#bestWorks ||= this.#way === 0;
    this.#bestFailed = 0;
    this.#refused = undefined;
    this.#since = Date.now();
    this.#renewLater();
    this.owner.status("live");
  }

  #renewLater(): void {
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(async () => {
      try {
        const token = await this.tokens.get();
        const changed = token !== this.#token;
        this.#token = token;
        this.#renewLater();
        if (changed) this.#line?.renew(token.text);
      } catch {
        this.#renewal = setTimeout(() => this.#renewLater(), 5_000); // the old one is still good for a while
      }
    }, Math.max(this.#token!.renewAt - Date.now(), 500));
  }

  #ended({ why, after = 0 }: End): void {
    clearTimeout(this.#renewal);
    const welcomed = this.#welcomed;
    this.#line = undefined;
    this.#welcomed = false;
    this.#notBefore = Math.max(this.#notBefore, Date.now() + after);
    if (welcomed && Date.now() - this.#since > GOOD_AFTER) this.#failures = 0;
    if (why === "token") {
      const again = this.#refused !== undefined || this.#token === undefined;
      this.#refused = this.#token?.text ?? "";
      if (!again) return this.#again(0); // a fresh one may be taken
      this.owner.status("error", "token");
      return this.#again(this.#pause());
    }
    if (why === "crowded") return this.#stuck(why);
    this.#forbidden = why === "forbidden" || (this.#forbidden && this.#way > 0);
    if (!welcomed && this.#way === 0) this.#bestFailed += 1;
    const patient = this.#way === 0 && this.#bestWorks && this.#bestFailed < PATIENCE;
    if (!welcomed && !patient && this.#way < WAYS.length - 1) {
      // This way may be closed: the next is tried at once. If none is open, all are tried again after a pause.
      if (this.#way === 0) this.#leftBestAt = Date.now();
      this.#way += 1;
      return this.#again(this.#way === 1 ? Math.random() * 200 : 0);
    }
    if (!welcomed) this.#way = 0;
    if (this.#forbidden) return this.#stuck("forbidden", 5);
    // A stream that ends to begin anew with another token, or for a moment, is no news to anybody.
    const pause = welcomed && after === 0 && this.#failures === 0 && this.way !== "ws" ? 0 : this.#pause();
    this.owner.status(pause === 0 ? "connecting" : "offline");
    this.#again(pause);
  }

  /** Somebody has to do something; it is looked after seldom, and by each at a time of its own, unless somebody asks. */
  #stuck(problem: Problem, minutes = 1): void {
    this.owner.status("error", problem);
    this.#again(minutes * LONG_PAUSE * (0.5 + Math.random()));
  }

  #pause(): number {
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE);
    this.#failures += 1;
    return pause * (0.5 + Math.random());
  }
}
