// Films a page: Chromium's screencast, put together by ffmpeg (`apt-get install ffmpeg`), with a pointer and words below.
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { CDPSession, Locator, Page } from "@playwright/test";

interface Frame {
  file: string;
  at: number;
}

export class Film {
  #frames: Frame[] = [];
  #writing: Promise<void>[] = [];
  #pointer = { x: 40, y: 40 };

  private constructor(private readonly page: Page, private readonly screen: CDPSession, private readonly dir: string) {}

  static async begin(page: Page): Promise<Film> {
    const screen = await page.context().newCDPSession(page);
    const film = new Film(page, screen, await mkdtemp(join(tmpdir(), "stentor-film-")));
    screen.on("Page.screencastFrame", ({ data, sessionId, metadata }) => {
      const file = join(film.dir, `${String(film.#frames.length).padStart(5, "0")}.jpg`);
      film.#frames.push({ file, at: metadata.timestamp! });
      film.#writing.push(writeFile(file, Buffer.from(data, "base64")));
      void screen.send("Page.screencastFrameAck", { sessionId });
    });
    await page.evaluate(() => {
      const say = Object.assign(document.createElement("div"), { id: "film-words" });
      Object.assign(say.style, { position: "fixed", left: "0", right: "0", bottom: "0", padding: "18px 24px", background: "#0b1f33", color: "#fff", font: "600 22px/1.3 system-ui, sans-serif", textAlign: "center", zIndex: "9" });
      const pointer = Object.assign(document.createElement("div"), { id: "film-pointer" });
      Object.assign(pointer.style, { position: "fixed", left: "0", top: "0", width: "26px", height: "26px", margin: "-13px", borderRadius: "50%", background: "#e4572e99", border: "2px solid #fff", boxShadow: "0 0 0 1px #0006", zIndex: "9", pointerEvents: "none", transition: "transform .6s ease-in-out" });
      document.body.append(say, pointer);
    });
    await screen.send("Page.startScreencast", { format: "jpeg", quality: 90, everyNthFrame: 1 });
    return film;
  }

  /** Words for what comes, and time to read them. */
  async say(words: string, ms = 2_500): Promise<void> {
    await this.page.evaluate((text) => (document.getElementById("film-words")!.textContent = text), words);
    await this.page.waitForTimeout(ms);
  }

  /** Moves the pointer to something. */
  async point(at: Locator): Promise<void> {
    await at.scrollIntoViewIfNeeded();
    const box = (await at.boundingBox())!;
    this.#pointer = { x: box.x + Math.min(box.width / 2, 120), y: box.y + box.height / 2 };
    await this.page.evaluate(({ x, y }) => (document.getElementById("film-pointer")!.style.transform = `translate(${x}px, ${y}px)`), this.#pointer);
    await this.page.waitForTimeout(750);
  }

  async click(at: Locator, ms = 700): Promise<void> {
    await this.point(at);
    await at.click();
    await this.page.waitForTimeout(ms);
  }

  async choose(at: Locator, value: string): Promise<void> {
    await this.point(at);
    await at.selectOption(value);
    await this.page.waitForTimeout(500);
  }

  /** Ends it, and writes it as a WebM of `width` pixels. */
  async end(path: string, width: number): Promise<void> {
    await this.screen.send("Page.stopScreencast");
    await Promise.all(this.#writing);
    const lines = this.#frames.map(({ file, at }, i) => `file '${file}'\nduration ${Math.max((this.#frames[i + 1]?.at ?? at + 1) - at, 0.01).toFixed(3)}`);
    const list = join(this.dir, "frames.txt");
    await writeFile(list, `${lines.join("\n")}\nfile '${this.#frames.at(-1)!.file}'\n`);
    const filter = `fps=10,scale=${width}:-2:flags=lanczos`;
    execFileSync("ffmpeg", ["-y", "-loglevel", "error", "-f", "concat", "-safe", "0", "-i", list, "-vf", filter, "-c:v", "libvpx-vp9", "-crf", "38", "-b:v", "0", "-row-mt", "1", "-cpu-used", "3", "-an", path]);
    await rm(this.dir, { recursive: true });
  }
}
