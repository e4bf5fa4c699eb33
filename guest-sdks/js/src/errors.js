// Why a tool does not succeed.
//
// A tool throws one of these. Their texts reach the model and the person, so they say what went wrong and what to do,
// and hold no secret. Each knows its case of the contract; whatever else is thrown becomes `failed`, in `answer.js`.

/** The base of all: its `tag` and `val` are a case of the contract and what it carries. */
export class ToolError extends Error {
  /**
   * @param {string} tag
   * @param {string | number | undefined} val
   * @param {string} message
   */
  constructor(tag, val, message) {
    super(message);
    this.name = new.target.name;
    this.tag = tag;
    this.val = val;
  }
}

export class InvalidArguments extends ToolError {
  /** @param {string} message */
  constructor(message) {
    super('invalid-arguments', message, message);
  }
}

export class Unauthorised extends ToolError {
  /** @param {string} provider */
  constructor(provider) {
    super('unauthorised', provider, `\`${provider}\` refused the credential`);
    this.provider = provider;
  }
}

const LONGEST_WAIT = 2 ** 32 - 1;

export class RateLimited extends ToolError {
  /** @param {number | string | null} [retryAfter] */
  constructor(retryAfter) {
    const seconds = wholeSeconds(retryAfter);
    const wait = seconds === undefined ? 'later' : `in ${seconds} s`;
    super('rate-limited', seconds, `the provider asks for patience; try again ${wait}`);
    this.retryAfter = seconds;
  }
}

export class Unavailable extends ToolError {
  /** @param {string} message */
  constructor(message) {
    super('unavailable', message, message);
  }
}

export class Failed extends ToolError {
  /** @param {string} message */
  constructor(message) {
    super('failed', message, message);
  }
}

const AUTH_ERRORS = {
  'not-declared': (/** @type {string} */ provider) =>
    new Failed(`the tool asked for an account at \`${provider}\`, which it does not declare`),
  unavailable: (/** @type {string} */ why) => new Unavailable(why),
  unsupported: (/** @type {string} */ why) => new Failed(why),
};

/** Why a credential, or an operation with it, cannot be had. Thrown on, it ends the call with the error it stands for. */
export class AuthError extends ToolError {
  /**
   * @param {keyof typeof AUTH_ERRORS} reason
   * @param {string} detail
   */
  constructor(reason, detail) {
    const { tag, val, message } = AUTH_ERRORS[reason](detail);
    super(tag, val, message);
    this.reason = reason;
    this.detail = detail;
  }
}

/**
 * Asks the host. What it refuses, `refusal` makes an error of.
 *
 * @template T
 * @param {() => T} question
 * @param {(payload: any) => ToolError} refusal
 */
export function asking(question, refusal) {
  try {
    return question();
  } catch (error) {
    const payload = /** @type {any} */ (error)?.payload;
    throw payload ? refusal(payload) : error;
  }
}

/**
 * `Retry-After` may hold a date instead of seconds (RFC 9110 §10.2.3); that is left unsaid, as is what makes no sense.
 *
 * @param {number | string | null | undefined} value
 */
function wholeSeconds(value) {
  const seconds = value === null || value === '' ? NaN : Math.ceil(Number(value));
  return seconds >= 0 ? Math.min(seconds, LONGEST_WAIT) : undefined;
}
