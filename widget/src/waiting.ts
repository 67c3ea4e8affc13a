// Questions that wait for the server's answer, by the reference that the answer names.
import type { ServerFrame } from "./frames.js";

/** How long an answer may take. */
const ANSWERED_WITHIN = 20_000;

/** The line broke before the answer came. What was asked may have been done. */
export class Broken extends Error {}

export class Waiting {
  #all = new Map<string, { done: (frame: ServerFrame) => void; failed: (error: Error) => void }>();
  #count = 0;

  /** Asks by `send`, which is given the question's reference. */
  ask(send: (ref: string) => void): Promise<ServerFrame> {
    return new Promise((done, failed) => {
      const ref = `${(this.#count += 1)}`;
      this.#all.set(ref, { done, failed });
      setTimeout(() => this.answer(ref, new Broken()), ANSWERED_WITHIN);
      send(ref);
    });
  }

  /** The answer to one of them, unless it had one before. */
  answer(ref: string, answer: ServerFrame | Error): void {
    const waiting = this.#all.get(ref);
    this.#all.delete(ref);
    if (answer instanceof Error) waiting?.failed(answer);
    else waiting?.done(answer);
  }

  /** None of them will be answered. */
  fail(): void {
    for (const ref of this.#all.keys()) this.answer(ref, new Broken());
  }
}
