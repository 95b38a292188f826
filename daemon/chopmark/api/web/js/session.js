/**
 * Who is signed in (docs/api.md, "Signing in at the page").
 *
 * `app.session.who` is what `GET /v1/session` says. Its token goes into each request that changes
 * something; the session itself is a cookie that no script can read.
 */

const HEADER = "x-chopmark-csrf";
/** A header of requests that no person has asked for: they keep no session alive. */
export const BACKGROUND = { "x-chopmark-background": "1" };

/** What was refused, with the seconds to wait if there are any. */
export class Refused extends Error {
  /**
   * @param {number} status of HTTP; 0 if there was no answer
   * @param {{code?: string, detail?: string, hint?: string}} content RFC 9457
   * @param {number} wait seconds
   */
  constructor(status, content, wait) {
    super(content.detail ?? "");
    this.status = status;
    this.code = content.code ?? "no-answer";
    this.hint = content.hint ?? "";
    this.wait = wait;
  }
}

/** Ask who is signed in; a change is told to `app.session.onChange`, if there is one. */
export async function learn(app, { background = false } = {}) {
  return take(app, await ask(app, "GET", "/v1/session", undefined, background ? BACKGROUND : {}));
}

/** Sign in by name and password. */
export async function signIn(app, name, password) {
  return take(app, await ask(app, "POST", "/v1/session", { name, password }));
}

/** Sign out, and learn what is open without. */
export async function signOut(app) {
  await ask(app, "DELETE", "/v1/session").catch((problem) => {
    if (problem.code !== "session-ended") throw problem;
  });
  return learn(app);
}

/** Another password for oneself. */
export async function changePassword(app, old, fresh) {
  return take(app, await ask(app, "POST", "/v1/session/password", { old, new: fresh }));
}

function take(app, who) {
  const before = app.session.who?.client ?? null;
  app.session.who = who;
  if (who.csrf) app.api.headers[HEADER] = who.csrf;
  else delete app.api.headers[HEADER];
  if (before !== who.client) app.session.onChange?.(who, before);
  return who;
}

async function ask(app, method, path, body, more = {}) {
  const token = app.api.headers[HEADER];
  const headers = { ...more, ...(token && method !== "GET" ? { [HEADER]: token } : {}) };
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    const content = body === undefined ? undefined : JSON.stringify(body);
    answer = await fetch(path, { method, headers, body: content, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new Refused(0, {}, 0);
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, content, Number(answer.headers.get("retry-after") ?? 0));
  return content;
}
