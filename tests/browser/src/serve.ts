// `stentor serve`, with a Redis and a PostgreSQL of the test's own: for what must go on, or say so, once SQL is away.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { freePort, Postgres } from "./postgres.ts";
import { BINARY, Caller, clean } from "./stentor.ts";

export class Serve extends Caller {
  #children: ChildProcess[] = [];

  private constructor(readonly postgres: Postgres, private readonly data: string) {
    super();
  }

  static async start(): Promise<Serve> {
    const serve = new Serve(await Postgres.start(), await mkdtemp(join(tmpdir(), "stentor-serve-")));
    await serve.#run();
    return serve;
  }

  async #run(): Promise<void> {
    const [redis, port] = [await freePort(), await freePort()];
    const redis_url = `redis://127.0.0.1:${redis}/`;
    const options = ["--port", `${redis}`, "--bind", "127.0.0.1", "--dir", this.data, "--save", "", "--appendonly", "yes", "--appendfsync", "no"];
    const server = spawn("redis-server", options, { stdio: ["ignore", "pipe", "inherit"] });
    this.#children.push(server);
    await said(server, server.stdout!, (line) => line.includes("Ready to accept connections"));
    const env = {
      ...clean(), STENTOR__HTTP__LISTEN: `127.0.0.1:${port}`, STENTOR__REDIS__URL: redis_url, STENTOR__ARCHIVE__URL: this.postgres.url,
      STENTOR__LOG__FORMAT: "json", STENTOR__EMAIL__PROVIDERS: "capture", STENTOR__SMS__PROVIDERS: "capture",
      STENTOR__EMAIL__PROVIDER__CAPTURE__URL: `capture:${this.data}/mail`, STENTOR__EMAIL__PROVIDER__CAPTURE__FROM: "demo@example.com",
      STENTOR__SMS__PROVIDER__CAPTURE__PRESET: "capture", STENTOR__SMS__PROVIDER__CAPTURE__DIR: `${this.data}/sms`,
    };
    const cli = (...args: string[]) => JSON.parse(execFileSync(BINARY, ["--json", ...args], { env, encoding: "utf8" }));
    const { inbox_secret } = cli("app", "create", "demo");
    const { api_key } = cli("key", "create", "--app", "demo", "--scopes", "send,read,manage,templates");
    const { operator_key } = cli("operator", "create", "dev");
    const api_url = `http://127.0.0.1:${port}`;
    this.ready = {
      api_url, app: "demo", api_key, inbox_secret, recipient: "ada", operator_key, console_url: `${api_url}/console/login#${operator_key}`,
      redis_url, database_url: this.postgres.url, outbox: "",
    };
    const child = spawn(BINARY, ["serve"], { env, stdio: ["ignore", "inherit", "pipe"] });
    this.#children.push(child);
    await said(child, child.stderr!, (line) => JSON.parse(line).message === "ready");
  }

  async stop(): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    }
    await this.postgres.stop();
    await rm(this.data, { recursive: true, force: true });
  }
}

/** Waits until a process has said something; what it says later is read and dropped. */
async function said(child: ChildProcess, stream: NodeJS.ReadableStream, what: (line: string) => boolean): Promise<void> {
  const lines = createInterface({ input: stream });
  await new Promise<void>((found, failed) => {
    lines.on("line", (line) => what(line) && found());
    child.on("error", failed);
    child.on("exit", (code) => failed(new Error(`${child.spawnfile} ended (exit code ${code})`)));
  });
}
