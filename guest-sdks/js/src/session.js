// What a tool says, and asks, while it runs: by the context that its function gets.
//
// Progress and messages reach clients that want them, and nobody else; a tool need not ask whether there is one. A
// question goes to the person that the call acts for. What they answer is an argument like any other: it grants nothing.

import { askPerson, logMessage, reportProgress } from '#host';
import { Failed, ToolError, Unavailable, asking } from './errors.js';
import { canonical, complete } from './schema.js';

/** @typedef {import('holster:plugin/session@0.1.0').Level} Level */
/** @typedef {{ action: 'accept', content: any } | { action: 'decline' } | { action: 'cancel' }} Answer */

/** @param {Level} level @param {string} message */
export function log(level, message) {
  logMessage(level, message);
}

/** @param {number} done @param {number} [total] @param {string} [message] */
export function progress(done, total, message) {
  reportProgress(done, total, message);
}

/** @param {string} message @param {import('./schema.js').Schema} form @returns {Answer} */
export function ask(message, form) {
  const schema = JSON.stringify(canonical(form));
  const answer = asking(() => askPerson(message, schema), refusal);
  switch (answer.tag) {
    case 'accept':
      return { action: 'accept', content: complete(form, JSON.parse(answer.val)) };
    default:
      return { action: answer.tag };
  }
}

/** @param {{ tag: ConstructorParameters<typeof AskError>[0], val: string }} payload */
function refusal({ tag, val }) {
  return new AskError(tag, val);
}

const REASONS = {
  unsupported: (/** @type {string} */ why) => new Failed(`nobody can be asked: ${why}`),
  invalid: (/** @type {string} */ why) => new Failed(`the question is not as it has to be: ${why}`),
  'too-many': (/** @type {string} */ why) => new Unavailable(`there are too many questions: ${why}`),
  unanswered: (/** @type {string} */ why) => new Unavailable(`there is no answer: ${why}`),
};

/** Why there is no answer. Thrown on, it ends the call with the error it stands for. */
export class AskError extends ToolError {
  /**
   * @param {keyof typeof REASONS} reason
   * @param {string} detail
   */
  constructor(reason, detail) {
    const { tag, val, message } = REASONS[reason](detail);
    super(tag, val, message);
    this.reason = reason;
    this.detail = detail;
  }
}
