// The errors that the core raises on purpose; `code` is the same as in Python's core.

/** Base of both: a stable code, one sentence, and perhaps what to do next. */
export class ChopmarkError extends Error {
  /**
   * @param {string} code stable short name in kebab case
   * @param {string} message one sentence that says what is wrong, and where
   * @param {string} hint what to do next; may be empty
   */
  constructor(code, message, hint = "") {
    super(message);
    this.name = this.constructor.name;
    this.code = code;
    this.hint = hint;
  }
}

/** Bytes from outside that are not what they should be. */
export class MalformedError extends ChopmarkError {}

/** Well-formed, but it breaks a rule: a bad proof, a foreign key, an index out of range. */
export class RefusedError extends MalformedError {}
