// A running `stentor dev` of a test's own: a free port, a folder of its own, its own Redis.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The repository's root. */
export const ROOT = resolve(fileURLToPath(new URL("../../..", import.meta.url)));
export const BINARY = process.env.STENTOR_BINARY ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug/stentor");

/** What `stentor dev --json` says once it answers. */
export interface Ready {
  api_url: string;
  app: string;
  api_key: string;
  inbox_secret: string;
  recipient: string;
  operator_key: string;
  console_url: string;
  redis_url: string;
  database_url: string;
  outbox: string;
}

/** The environment without the settings that somebody has there. */
export const clean = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("STENTOR")));

/** Who may call a running Stentor, and how. */
export abstract class Caller {
  ready!: Ready;

  get url(): string {
    return this.ready.api_url;
  }

  /** Calls the API with the app's key; anything but a 2xx is an error. */
  async api(method: string, path: string, body?: unknown): Promise<any> {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.ready.api_key}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** Sends a notification and gives its id. */
  async send(audience: "everyone" | string[] | object, what: object): Promise<string> {
    const to = Array.isArray(audience) ? { recipients: audience } : audience;
    return (await this.api("POST", "/v1/notifications", { audience: to, ...what })).id;
  }

  /** Sends plain words to one person, waits until they are in the inbox, and gives the notification's id. */
  async say(recipient: string, title: string, more: object = {}, about: object = {}): Promise<string> {
    const id = await this.send([recipient], { content: { title, ...more }, ...about });
    await this.completed(id);
    return id;
  }

  /** Waits until everybody was told: what is sent next comes after it. */
  async completed(id: string): Promise<void> {
    for (const end = Date.now() + 15_000; (await this.api("GET", `/v1/notifications/${id}`)).status !== "completed"; ) {
      if (Date.now() > end) throw new Error(`${id} is not completed`);
      await new Promise((again) => setTimeout(again, 20)); // REST has no event to wait for
    }
  }

  /** What the server says is unread: the truth that every device must show. */
  async unread(recipient: string): Promise<number> {
    return (await this.api("GET", `/v1/recipients/${recipient}/inbox?limit=1`)).unread;
  }
}

export class Stentor extends Caller {
  /** Settings of its own, as its environment says them (`STENTOR__SMS__PROVIDERS`): in force from the next start on. */
  settings: Record<string, string> = {};
  #child?: ChildProcess;
  #listen = "127.0.0.1:0";

  private constructor(readonly data: string) {
    super();
  }

  static async start(): Promise<Stentor> {
    const stentor = new Stentor(await mkdtemp(join(tmpdir(), "stentor-browser-")));
    await stentor.run();
    return stentor;
  }

  /** Starts it, the second time on the port that it had. */
  async run(): Promise<void> {
    const child = spawn(BINARY, ["--json", "dev", "--listen", this.#listen, "--data", this.data], {
      env: { ...clean(), STENTOR__LOG__LEVEL: process.env.STENTOR_TEST_LOG ?? "error", ...this.settings },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stdout! });
    const said = await Promise.race([
      once(lines, "line").then(([line]) => line as string),
      once(child, "exit").then(() => undefined),
      once(child, "error").then(([error]) => { throw new Error(`${BINARY} cannot be started: build it first (${error})`); }),
    ]);
    if (said === undefined) throw new Error(`stentor dev ended (exit code ${child.exitCode})`);
    this.ready = JSON.parse(said);
    this.#listen = new URL(this.ready.api_url).host;
  }

  /** Makes an app beside the one that is there. */
  makeApp(name: string): void {
    execFileSync(BINARY, ["app", "create", name], { env: { ...process.env, STENTOR__ARCHIVE__URL: this.ready.database_url } });
  }

  /** Ends it as a power cut would; its Redis is left behind, and the next start ends it. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Ends it in order, and starts it again over the same data. */
  async restart(): Promise<void> {
    await this.#end("SIGTERM");
    await this.run();
  }

  /** Ends it in order, and removes its folder. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    await rm(this.data, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
}
