// The schema builders that tools need, of the package `typebox`.
//
// Not all of `typebox`: its operations on types bring an interpreter of them, a quarter of a megabyte of source in
// every component. Whoever needs those imports `Type` from `typebox` itself; a schema is the same data in both.

import { Unsafe } from 'typebox';

export {
  Any,
  Array,
  Boolean,
  Enum,
  Integer,
  Literal,
  Null,
  Number,
  Object,
  Optional,
  String,
  Tuple,
  Union,
  Unknown,
  Unsafe,
} from 'typebox';

/**
 * An object with names of the data's own choice. The one of `typebox` can restrict the names, and needs the interpreter.
 *
 * @param {import('typebox').TSchema} value
 * @param {import('typebox').TObjectOptions} [options]
 */
export function Dictionary(value, options) {
  return Unsafe({ type: 'object', ...options, additionalProperties: value });
}
