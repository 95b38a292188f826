/** The gateway's API (docs/api.md). No function here takes a file: digests are all that is sent. */

/** What the gateway refused, or why it could not be asked. */
export class Problem extends Error {
  /**
   * @param {number} status of HTTP; 0 if there was no answer
   * @param {{code?: string, detail?: string, hint?: string}} content RFC 9457
   * @param {number} retryAfter seconds after which it may be asked again; 0 if nothing is said
   */
  constructor(status, content, retryAfter = 0) {
    super(content.detail ?? content.code ?? String(status));
    this.status = status;
    this.code = content.code ?? "no-answer";
    this.hint = content.hint ?? "";
    this.retryAfter = retryAfter;
  }
}

export class Api {
  constructor() {
    /** Headers that each request that changes something has: of a session, say. */
    this.headers = {};
    /** Called with each problem of status 401. */
    this.onUnauthorised = () => {};
  }

  /** JSON of a GET. */
  get(path, options = {}) {
    return this.#ask(path, options).then((answer) => answer.json());
  }

  /** Text of a GET. */
  text(path, options = {}) {
    return this.#ask(path, options).then((answer) => answer.text());
  }

  /** JSON that answers a POST of JSON. */
  post(path, body, { headers = {}, ...options } = {}) {
    return this.#ask(path, {
      ...options,
      method: "POST",
      headers: { "content-type": "application/json", ...this.headers, ...headers },
      body: JSON.stringify(body),
    }).then((answer) => (answer.status === 204 ? null : answer.json()));
  }

  /** `quiet`: who may not ask this goes on without, and need not sign in for it. */
  async #ask(path, { quiet = false, ...options }) {
    let answer;
    try {
      answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, { code: "no-answer" });
    }
    if (answer.ok) return answer;
    const content = await answer.json().catch(() => ({}));
    const problem = new Problem(answer.status, content, Number(answer.headers.get("retry-after")) || 0);
    if (answer.status === 401 && !quiet) this.onUnauthorised(problem);
    throw problem;
  }
}

/** The query of a URL from what is set. */
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(set).toString();
  return text ? `?${text}` : "";
}
