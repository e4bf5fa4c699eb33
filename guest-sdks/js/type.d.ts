import type { Static, TObjectOptions, TSchema, TUnsafe } from 'typebox';

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

/** An object with names of the data's own choice, and values of one type. */
export function Dictionary<Value extends TSchema>(
  value: Value,
  options?: TObjectOptions,
): TUnsafe<Record<string, Static<Value>>>;
