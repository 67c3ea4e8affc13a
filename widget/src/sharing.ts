// One connection for all tabs of a browser: who holds a lock keeps it, the others are told over a channel.
//
// A page that may not hold locks (no HTTPS, an old browser) has a connection of its own.
import type { Command, ServerFrame } from "./frames.js";
import { Refused } from "./rest.js";
import { Broken, Waiting } from "./waiting.js";

/** How long the holder may take to answer: one that the system has put to sleep is taken over. */
const ANSWER_WITHIN = 3_000;
/** How often a tab that is looked at asks whether the holder is awake. */
const ASK_EVERY = 15_000;

type Message<Known> =
  | { type: "hello"; from: string; knows: boolean }
  | { type: "known"; to: string; known?: Known }
  | { type: "lead" }
  | { type: "told"; told: unknown }
  | { type: "ask"; from: string; ref: string; command: Command }
  | { type: "answer"; to: string; ref: string; frame?: ServerFrame; refused?: [code: string, message: string] };

export interface Member<Known, Told> {
  /** This tab keeps the connection from now on. */
  lead(): void;
  /** This tab keeps it no more. */
  follow(): void;
  /** What is known, for a tab that came. */
  known(): Known;
  /** What was known when this tab came. */
  learn(known: Known): void;
  /** Something was told to all. */
  told(told: Told): void;
  /** Asks the server; only while this tab keeps the connection. */
  ask(command: Command): Promise<ServerFrame>;
}

export class Sharing<Known, Told> {
  readonly #id = `${Math.random()}`;
  readonly #channel: BroadcastChannel | undefined;
  readonly #waiting = new Waiting();
  #leads = false;
  #learnt = false;
  #probe: ReturnType<typeof setTimeout> | undefined;
  #every: ReturnType<typeof setInterval> | undefined;
  #release: (() => void) | undefined;
  #left = new AbortController();

  constructor(private readonly name: string, private readonly member: Member<Known, Told>, share: boolean) {
    if (!share || !navigator.locks || typeof BroadcastChannel === "undefined") {
      this.#lead();
      return;
    }
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#take(data);
    document.addEventListener("visibilitychange", this.#look);
    this.#every = setInterval(this.#look, ASK_EVERY);
    this.#lineUp({ signal: this.#left.signal });
    this.#ask();
  }

  get leads(): boolean {
    return this.#leads;
  }

  leave(): void {
    document.removeEventListener("visibilitychange", this.#look);
    clearTimeout(this.#probe);
    clearInterval(this.#every);
    this.#left.abort();
    this.#stop();
    this.#channel?.close();
  }

  /** Tells the other tabs what the server told this one. */
  tell(told: Told): void {
    this.#post({ type: "told", told });
  }

  /** Asks the server, by whoever keeps the connection. */
  ask(command: Command): Promise<ServerFrame> {
    if (this.#leads) return this.member.ask(command);
    return this.#waiting.ask((ref) => this.#post({ type: "ask", from: this.#id, ref, command }));
  }

  #post(message: Message<Known>): void {
    this.#channel?.postMessage(message);
  }

  #lineUp(options: LockOptions): void {
    const held = () => new Promise<void>((release) => {
      this.#release = release;
      this.#lead();
    });
    navigator.locks.request(this.name, options, held).catch(() => {
      // Another tab took it away, since this one did not answer; or this one left the line.
      if (this.#left.signal.aborted || !this.#leads) return;
      this.#stop();
      this.#learnt = false;
      this.member.follow();
      this.#lineUp({ signal: this.#left.signal });
      this.#ask();
    });
  }

  #lead(): void {
    clearTimeout(this.#probe);
    this.#leads = true;
    this.#waiting.fail(); // what was asked of the tab before may or may not have been done
    this.#post({ type: "lead" });
    this.member.lead();
  }

  #stop(): void {
    this.#leads = false;
    this.#release?.();
    this.#release = undefined;
  }

  /** Is the tab that keeps the connection awake? Otherwise this one takes it over. */
  #ask(): void {
    clearTimeout(this.#probe);
    this.#post({ type: "hello", from: this.#id, knows: this.#learnt });
    this.#probe = setTimeout(() => {
      if (!this.#leads && !document.hidden) this.#lineUp({ steal: true });
    }, ANSWER_WITHIN);
  }

  /** The holder is awake: if this tab was not told what is known, it asks again. */
  #heard(): void {
    if (this.#leads) return;
    clearTimeout(this.#probe);
    if (!this.#learnt) this.#ask();
  }

  #look = (): void => {
    if (!document.hidden && !this.#leads) this.#ask();
  };

  #take(message: Message<Known>): void {
    switch (message.type) {
      case "hello":
        if (this.#leads) this.#post({ type: "known", to: message.from, known: message.knows ? undefined : this.member.known() });
        break;
      case "known":
        if (message.to !== this.#id || this.#leads) break;
        clearTimeout(this.#probe);
        if (!message.known) break;
        this.#learnt = true;
        this.member.learn(message.known);
        break;
      case "lead":
        this.#waiting.fail();
        this.#heard();
        break;
      case "told":
        if (this.#learnt && !this.#leads) this.member.told(message.told as Told);
        this.#heard();
        break;
      case "ask":
        if (this.#leads) void this.#serve(message.from, message.ref, message.command);
        break;
      case "answer": {
        const { to, ref, frame, refused } = message;
        if (to === this.#id) this.#waiting.answer(ref, frame ?? (refused ? new Refused(...refused) : new Broken()));
      }
    }
  }

  async #serve(to: string, ref: string, command: Command): Promise<void> {
    try {
      this.#post({ type: "answer", to, ref, frame: await this.member.ask(command) });
    } catch (error) {
      this.#post({ type: "answer", to, ref, refused: error instanceof Refused ? [error.code, error.message] : undefined });
    }
  }
}
