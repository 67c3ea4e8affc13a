// The API, as the console's session may use it.
export class Problem extends Error {
  constructor(status, document) {
    super(document?.detail ?? `The server answered ${status}. Load the page again.`);
    this.status = status;
    this.code = document?.code;
    this.findings = document?.findings ?? [];
  }
}

export class Api {
  constructor({ base, app, csrf }) {
    Object.assign(this, { base, app, csrf });
  }

  async call(method, path, body, { signal, query = {} } = {}) {
    const address = `${this.base}${path}?${new URLSearchParams({ app: this.app, ...query })}`;
    const headers = { 'x-csrf-token': this.csrf, accept: 'application/json' };
    if (body !== undefined) headers['content-type'] = 'application/json';
    let response;
    try {
      response = await fetch(address, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new Problem(0, { detail: 'The server does not answer. What you wrote is kept in this tab.' });
    }
    const kind = response.headers.get('content-type') ?? '';
    const document = kind.includes('json') ? await response.json() : null;
    if (!response.ok || !document) throw new Problem(response.redirected ? 401 : response.status, document);
    return document;
  }
}
