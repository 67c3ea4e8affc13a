// The inbox token: asked of the business's page, kept until it is nearly used up, and read for whose it is.

/** Gives a fresh inbox token, as the business's back end made it. */
export type TokenProvider = () => Promise<string | { token: string }>;

/** A token, and what stands in it. Whether it is true is for the server to say. */
export interface Token {
  text: string;
  /** Whose inbox it opens: app and recipient. */
  owner: string;
  /** When it should be renewed, in ms since 1970. */
  renewAt: number;
}

/** The share of its life after which a token is renewed. */
const USED = 0.8;

function read(text: string): Token {
  const claims = JSON.parse(new TextDecoder().decode(bytes(text.split(".")[1] ?? "")));
  const left = claims.exp * 1000 - Date.now();
  // A clock that is far off must not make us ask again and again; that the token ran out, the server says as well.
  const wait = left > 0 ? Math.max(left * USED, 1_000) : 30_000;
  return { text, owner: `${claims.app}:${claims.sub}`, renewAt: Date.now() + wait };
}

const bytes = (base64url: string) =>
  Uint8Array.from(atob(base64url.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));

/** Asks for tokens, one at a time. */
export class Tokens {
  #token?: Token;
  #asking?: Promise<Token>;

  constructor(private readonly provider: TokenProvider) {}

  /** The token that there is, or a new one if it is nearly used up, or was refused. */
  get(refused?: string): Promise<Token> {
    const token = this.#token;
    if (token && token.text !== refused && Date.now() < token.renewAt) return Promise.resolve(token);
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(): Promise<Token> {
    const given = await this.provider();
    return (this.#token = read(typeof given === "string" ? given : given.token));
  }
}

/** Asks a URL of the page's own origin, with its cookies, for `{"token": …}`. */
export const fromUrl = (url: string): TokenProvider => async () => {
  const response = await fetch(url, { credentials: "same-origin", cache: "no-store", headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.json();
};
