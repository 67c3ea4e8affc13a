// A PostgreSQL of a test's own, which the test may take away: on a free port of the loopback, as the user `postgres` if root runs it.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Where Debian keeps the newest one; elsewhere it is on the path. */
function folder(): string {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).map(Number).sort((a, b) => b - a) : [];
  return versions.length ? join(debian, String(versions[0]), "bin") : "";
}

/** Who runs it: it refuses to be root. */
function user(): { uid?: number; gid?: number } {
  if (process.getuid!() !== 0) return {};
  const id = (which: string) => Number(execFileSync("id", [which, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export class Postgres {
  readonly #data = mkdtempSync(join(tmpdir(), "stentor-postgres-"));
  #child?: ChildProcess;
  #port = 0;

  static async start(): Promise<Postgres> {
    const postgres = new Postgres();
    const [bin, as, data] = [folder(), user(), postgres.#data];
    if (as.uid !== undefined) chownSync(data, as.uid, as.gid!);
    const cluster = join(data, "cluster");
    const init = ["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "--username=postgres", "--pgdata", cluster];
    execFileSync(join(bin, "initdb"), init, { cwd: data, stdio: ["ignore", "ignore", "inherit"], ...as });
    postgres.#port = await freePort();
    const settings = [`port=${postgres.#port}`, "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB", "logging_collector=off"];
    const child = spawn(join(bin, "postgres"), ["-D", cluster, ...settings.flatMap((setting) => ["-c", setting])], { cwd: data, stdio: ["ignore", "ignore", "pipe"], ...as });
    postgres.#child = child;
    for await (const line of createInterface({ input: child.stderr! })) {
      if (line.includes("ready to accept connections")) return postgres;
    }
    throw new Error("PostgreSQL does not start");
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.#port}/postgres`;
  }

  /** Ends it at once: every connection breaks. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    child.stderr!.resume();
    const exit = once(child, "exit");
    child.kill("SIGQUIT");
    await exit;
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#data, { recursive: true, force: true });
  }
}
