// Calls of REST, with an inbox token.

/** The server refused, and said why. */
export class Refused extends Error {
  constructor(readonly code: string, message: string, readonly status = 400, readonly after?: number) {
    super(message);
  }
}

export class Rest {
  constructor(private readonly base: string) {}

  url(path: string): string {
    return new URL(path, this.base).href;
  }

  async ask(method: string, path: string, token: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { authorization: `Bearer ${token}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await fetch(this.url(path), {
      method, headers, signal, cache: "no-store", credentials: "omit", body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (response.ok) return response;
    const { code = `${response.status}`, detail = response.statusText } = await response.json().catch(() => ({}));
    const after = Number(response.headers.get("retry-after")) * 1_000 || undefined;
    throw new Refused(code, detail, response.status, after);
  }

  async json<T>(method: string, path: string, token: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    return (await this.ask(method, path, token, body, signal)).json();
  }
}
