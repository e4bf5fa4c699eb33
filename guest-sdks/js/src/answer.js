// Results and errors of a tool, in the words of the contract.

import { ToolError } from './errors.js';
import { Output } from './output.js';

/** @typedef {import('holster:plugin/tool@0.1.0').Content} Content */
/** @typedef {import('holster:plugin/tool@0.1.0').ToolError} ContractError */

/**
 * @param {import('./tool.js').Shape} shape
 * @param {any} result
 * @returns {Content[]}
 */
export function content(shape, result) {
  if (shape === 'wrapped') return structured({ result });
  if (shape === 'object') {
    if (isObject(result) && !(result instanceof Output)) return structured(result);
    throw new TypeError(`the tool declares an object as its output, but returned ${kind(result)}`);
  }
  if (result === undefined || result === null) return [];
  if (result instanceof Output) return result.content;
  if (typeof result === 'string') return [{ tag: 'text', val: result }];
  return structured(isObject(result) ? result : { result });
}

/**
 * What has no value is left out, as schemas of all languages say of what is optional. To look at
 * each place takes time at each call, and most results say `null` nowhere.
 *
 * @param {object} value
 * @returns {Content[]}
 */
function structured(value) {
  const leaveOut = (/** @type {string} */ _, /** @type {any} */ inner) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).filter(([, member]) => member !== null)) : inner;
  const text = JSON.stringify(value);
  return [{ tag: 'structured', val: text?.includes('null') ? JSON.stringify(value, leaveOut) : text }];
}

/** @param {any} value */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param {any} value */
function kind(value) {
  if (value === undefined || value === null) return 'nothing';
  if (value instanceof Output) return 'an `Output`';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

/**
 * What a thrown value says to the model and the person. Where it is no error that the tool meant to answer with, the
 * host's log gets the place where it happened.
 *
 * @param {unknown} thrown
 * @returns {ContractError}
 */
export function refusal(thrown) {
  if (thrown instanceof ToolError) return /** @type {ContractError} */ ({ tag: thrown.tag, val: thrown.val });
  if (!(thrown instanceof Error)) return { tag: 'failed', val: String(thrown) };
  const text = `${thrown.name}: ${thrown.message}`;
  console.error(`${text}\n${place(thrown)}`);
  if (isUnanswered(thrown)) return { tag: 'unavailable', val: UNANSWERED };
  if (thrown.name === 'TimeoutError') return { tag: 'unavailable', val: 'a service takes too long to answer' };
  return { tag: 'failed', val: text };
}

const UNANSWERED = 'a request failed: the service does not answer, or the host does not let the tool reach it';

/**
 * `fetch` tells no more of it than this text: the first is the component's engine, the second Node.js.
 *
 * @param {Error} error
 */
function isUnanswered({ name, message }) {
  return name === 'TypeError' && /^(NetworkError when attempting to fetch resource|fetch failed)/.test(message);
}

const INNERMOST_FRAMES = 10;

/** @param {Error} error */
function place({ stack = '' }) {
  const frames = stack.split('\n').filter((line) => /@|^\s+at /.test(line) && !line.includes('initializer.js'));
  return frames.slice(0, INNERMOST_FRAMES).join('\n');
}
