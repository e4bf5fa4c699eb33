// The bindings that componentize-js writes into a component, with one function made fast.
//
// Bindings are interpreted in the component, and theirs measures a text by looking at each of its characters: a quarter
// of a second for every megabyte of a tool's answer. The engine's own encoder, which they use next, takes 5 ms. The
// version of componentize-js is fixed in `package.json`; a test says so if it no longer writes what is replaced here.

const componentizeJs = import.meta.resolve('@bytecodealliance/componentize-js');
const { splicer } = await import(new URL('../lib/spidermonkey-embedding-splicer.js', componentizeJs).href);

const MEASURED_THEN_ENCODED =
  /\n {2}\/\/ Compute the exact allocation size up front\..*?\n {2}const res = \{ ptr, len, codepoints \};/s;

const ENCODED = `
  const bytes = TEXT_ENCODER_UTF8.encode(s);
  const len = bytes.length;
  const ptr = realloc(0, 0, 1, len);
  new Uint8Array(memory.buffer, ptr, len).set(bytes);
  const res = { ptr, len };`;

const spliceBindings = splicer.spliceBindings;
splicer.spliceBindings = (/** @type {unknown[]} */ ...given) => {
  const spliced = spliceBindings(...given);
  return { ...spliced, jsBindings: spliced.jsBindings.replace(MEASURED_THEN_ENCODED, () => ENCODED) };
};

export { splicer };
