// JSON Schemas as all languages write them.
//
// `canonical` makes of an author's schema the one that agents see: closed objects, nothing but what constrains or
// explains, references inlined, what has a default or may be null not required. `complete` gives the arguments what
// the author's schema promises of them. Neither checks a value: the host does, before it calls.

/** @typedef {{ [key: string]: any }} Schema */

const SILENT = new Set(['$schema', '$id', '$anchor', '$comment', '$defs', 'definitions', 'title']);
const ONE_SCHEMA = ['items', 'not', 'contains', 'propertyNames', 'if', 'then', 'else', 'unevaluatedProperties'];
const MANY_SCHEMAS = ['prefixItems', 'anyOf', 'oneOf', 'allOf'];
const ANY_NAME = new Set(['^.*$', '^(.*)$', '.*', '']);

/**
 * The canonical form of an author's schema.
 *
 * @param {Schema} schema
 * @returns {Schema}
 * @throws {TypeError} where the schema refers to itself, or to something that is not within it.
 */
export function canonical(schema) {
  return rewrite(schema, schema, []);
}

/**
 * @param {any} schema
 * @param {Schema} root
 * @param {string[]} within the references on the way here
 * @returns {any}
 */
function rewrite(schema, root, within) {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return schema;
  if (typeof schema.$ref === 'string') return inlined(schema, root, within);

  const inner = (/** @type {any} */ part) => rewrite(part, root, within);
  const kept = Object.entries(schema).filter(([key]) => !SILENT.has(key) && !key.startsWith('~'));
  /** @type {Schema} */
  const result = Object.fromEntries(kept);
  for (const key of ONE_SCHEMA) if (key in result) result[key] = inner(result[key]);
  for (const key of MANY_SCHEMAS) if (key in result) result[key] = result[key].map(inner);
  if (result.type === 'integer' || result.type === 'number') delete result.format;

  const names = nameChoices(result);
  if (names) return { type: 'string', ...without(result, ['type', 'anyOf', 'oneOf', 'const', 'enum']), enum: names };
  if (result.type === 'object' || result.properties) return object(result, inner);
  return result.type === undefined ? result : { type: result.type, ...result };
}

/**
 * @param {Schema} schema
 * @param {(part: any) => any} inner
 */
function object(schema, inner) {
  const rest = without(schema, ['type', 'properties', 'required', 'additionalProperties', 'patternProperties']);
  const properties = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const all = inner(property);
    const some = withoutNull(all);
    return { name, schema: some ?? all, optional: some !== undefined || all?.default !== undefined };
  });
  const optional = new Set(properties.filter((property) => property.optional).map((property) => property.name));
  const required = (schema.required ?? []).filter((/** @type {string} */ name) => !optional.has(name));

  let others = schema.additionalProperties;
  let patterns = Object.entries(schema.patternProperties ?? {});
  const ofAnyName = patterns.find(([pattern]) => ANY_NAME.has(pattern));
  if (ofAnyName && patterns.length === 1) [patterns, others] = [[], ofAnyName[1]];

  return {
    type: 'object',
    ...rest,
    ...((schema.properties || others === undefined) && {
      properties: Object.fromEntries(properties.map(({ name, schema }) => [name, schema])),
    }),
    ...(patterns.length > 0 && {
      patternProperties: Object.fromEntries(patterns.map(([pattern, part]) => [pattern, inner(part)])),
    }),
    ...(required.length > 0 && { required }),
    additionalProperties: others === undefined ? false : inner(others),
  };
}

/**
 * The strings to choose from, where the schema allows just these.
 *
 * @param {Schema} schema
 * @returns {string[] | undefined}
 */
function nameChoices(schema) {
  const choices = schema.anyOf ?? schema.oneOf;
  const names = choices
    ? choices.flatMap((/** @type {any} */ choice) => (isBare(choice) && nameChoices(choice)) || [undefined])
    : (schema.enum ?? ('const' in schema ? [schema.const] : []));
  const all = names.length > 0 && names.every((/** @type {any} */ name) => typeof name === 'string');
  return all ? [...new Set(/** @type {string[]} */ (names))] : undefined;
}

/** Whether nothing is lost of a choice if only its names are kept. @param {Schema} choice */
function isBare(choice) {
  return Object.keys(choice).every((key) => ['type', 'const', 'enum'].includes(key));
}

/**
 * The schema less its null, if it has one beside something else.
 *
 * @param {any} schema
 * @returns {any}
 */
function withoutNull(schema) {
  if (Array.isArray(schema?.type) && schema.type.includes('null') && schema.type.length > 1) {
    const types = schema.type.filter((/** @type {string} */ type) => type !== 'null');
    return { ...schema, type: types.length === 1 ? types[0] : types };
  }
  for (const key of ['anyOf', 'oneOf']) {
    const rest = schema?.[key]?.filter((/** @type {any} */ choice) => choice?.type !== 'null');
    if (!rest || rest.length === schema[key].length || rest.length === 0) continue;
    const around = without(schema, [key]);
    const merged = rest.length === 1 ? { ...rest[0], ...around } : { ...around, [key]: rest };
    return rewrite(merged, merged, []);
  }
  return undefined;
}

/**
 * @param {Schema} schema
 * @param {Schema} root
 * @param {string[]} within
 */
function inlined(schema, root, within) {
  const reference = schema.$ref;
  if (within.includes(reference)) {
    throw new TypeError(`the schema \`${reference}\` refers to itself, which an agent's schema cannot; unfold it`);
  }
  const target = reference === '#' ? root : lookUp(root, reference);
  if (target === undefined) {
    throw new TypeError(`the schema refers to \`${reference}\`, which is not among its own \`$defs\``);
  }
  return rewrite({ ...target, ...without(schema, ['$ref']) }, root, [...within, reference]);
}

/**
 * @param {Schema} root
 * @param {string} reference a JSON pointer in a fragment, or the name of a definition
 */
function lookUp(root, reference) {
  if (!reference.startsWith('#/')) return root.$defs?.[reference];
  const names = reference.slice(2).split('/').map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  return names.reduce((/** @type {any} */ part, name) => part?.[name], root);
}

/**
 * @param {Schema} schema
 * @param {string[]} keys
 * @returns {Schema}
 */
function without(schema, keys) {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !keys.includes(key)));
}

/**
 * What makes of a value one with the defaults of the author's schema in it. A member that may be null, and that agents
 * therefore leave out, is null again. What the schema asks for is found once, not at each call. `undefined` where there is
 * nothing to do to any value.
 *
 * @param {any} schema
 * @returns {((value: any) => any) | undefined}
 */
export function completer(schema) {
  if (!schema?.items && !schema?.properties) return undefined;
  const completeItem = completer(schema.items);
  const members = Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    complete: completer(property),
    otherwise: property.default ?? (schema.required?.includes(name) && allowsNull(property) ? null : undefined),
  }));
  return (value) => {
    if (Array.isArray(value)) return completeItem ? value.map(completeItem) : value.slice();
    if (typeof value !== 'object' || value === null || !schema.properties) return value;
    const result = { ...value };
    for (const { name, complete, otherwise } of members) {
      const given = result[name] ?? otherwise;
      if (given === undefined) delete result[name];
      else result[name] = complete ? complete(given) : given;
    }
    return result;
  };
}

/** @param {any} schema @param {any} value @returns {any} */
export function complete(schema, value) {
  const completed = completer(schema);
  return completed ? completed(value) : value;
}

/** @param {any} schema @returns {boolean} */
function allowsNull(schema) {
  const choices = schema?.anyOf ?? schema?.oneOf ?? [];
  return schema?.type === 'null' || schema?.type?.includes?.('null') === true || choices.some(allowsNull);
}
