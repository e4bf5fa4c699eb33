// The glue between tools and the contract: what a component exports is `exportTools` of its author's tools.

import { content, refusal } from './answer.js';
import { InvalidArguments } from './errors.js';
import { completer } from './schema.js';
import * as session from './session.js';

/** @typedef {import('./tool.js').Tool} Tool */
/** @typedef {import('holster:plugin/tool@0.1.0').CallContext} CallContext */
/** @typedef {import('holster:plugin/tool@0.1.0').ToolOutput} ToolOutput */

/**
 * The export `tool` of the contract.
 *
 * @param {Tool | Tool[]} declared what the author's module exports as its default
 * @param {() => void} [warmUp] what is done when the tools are listed: the host asks for that while an instance waits for its call
 */
export function exportTools(declared, warmUp) {
  const tools = byName(Array.isArray(declared) ? declared : [declared]);
  const definitions = [...tools.values()].map((tool) => tool.definition);

  return {
    listTools() {
      warmUp?.();
      return definitions;
    },

    /**
     * What is there at once is given at once: to wait costs an engine as much as the rest of a small call.
     *
     * @param {string} name @param {string} args @param {CallContext} context
     * @returns {ToolOutput | Promise<ToolOutput>}
     */
    call(name, args, context) {
      try {
        const tool = tools.get(name);
        if (!tool) throw new InvalidArguments(`there is no tool \`${name}\` in this component`);
        const result = tool.run(tool.read(args), contextOf(context));
        return isPromise(result) ? later(tool.shape, result) : { content: content(tool.shape, result) };
      } catch (error) {
        throw refusal(error);
      }
    },
  };
}

/** @param {any} result @returns {result is PromiseLike<unknown>} */
function isPromise(result) {
  return typeof result?.then === 'function';
}

/** @param {import('./tool.js').Shape} shape @param {PromiseLike<unknown>} result @returns {Promise<ToolOutput>} */
async function later(shape, result) {
  try {
    return { content: content(shape, await result) };
  } catch (error) {
    throw refusal(error);
  }
}

/** @param {Tool[]} tools */
function byName(tools) {
  const map = new Map();
  for (const tool of tools) {
    if (!tool?.definition) {
      throw new TypeError('the default export is no tool; write `export default tool({ … })`, or a list of them');
    }
    const { name } = tool.definition;
    if (map.has(name)) throw new TypeError(`there are two tools \`${name}\`; rename one`);
    map.set(name, { ...tool, read: reader(tool.input) });
  }
  if (map.size === 0) throw new TypeError('the default export is an empty list; a component holds at least one tool');
  return map;
}

/**
 * What reads the arguments of a tool. The host has checked them against the schema. What is told apart here is what would
 * otherwise surprise the tool if a host did not.
 *
 * @param {import('./schema.js').Schema} input
 * @returns {(args: string) => any}
 */
function reader(input) {
  const complete = completer(input);
  const required = input.required ?? [];
  const isClosed = !input.additionalProperties && !input.patternProperties;
  const known = new Set(Object.keys(input.properties ?? {}));
  return (args) => {
    const value = parsed(args);
    const completed = complete ? complete(value) : value;
    for (const name of required) {
      if (completed[name] === undefined) throw new InvalidArguments(`\`${name}\` is missing`);
    }
    if (isClosed) {
      for (const name of Object.keys(value)) {
        if (!known.has(name)) throw new InvalidArguments(`there is no parameter \`${name}\``);
      }
    }
    return completed;
  };
}

/** @param {string} args */
function parsed(args) {
  let value;
  try {
    value = JSON.parse(args);
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw new InvalidArguments(`the arguments are not a JSON object: ${why}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidArguments('the arguments are not a JSON object');
  }
  return value;
}

/** @param {CallContext} context @returns {import('./tool.js').Context} */
function contextOf({ thread, profile, deadline }) {
  let end = Number(deadline);
  return {
    thread,
    profile,
    get deadline() {
      return new Date(end);
    },
    get timeLeft() {
      return Math.max(0, end - Date.now());
    },
    log: session.log,
    progress: session.progress,
    ask(message, form) {
      const start = Date.now();
      try {
        return session.ask(message, form);
      } finally {
        end += Date.now() - start;
      }
    },
  };
}
