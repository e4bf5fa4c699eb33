// The bindings that componentize-js writes into a component, with one function made fast and one added.
//
// Bindings are interpreted in the component, and theirs measures a text by looking at each of its characters: a quarter
// of a second for every megabyte of a tool's answer. The engine's own encoder, which they use next, takes 5 ms. What is
// added calls a tool as the host does, so that the bindings, too, have been used before the first call. The version of
// componentize-js is fixed in `package.json`; a test says so if it no longer writes what is replaced here.

const componentizeJs = import.meta.resolve('@bytecodealliance/componentize-js');
const { splicer } = await import(new URL('../lib/spidermonkey-embedding-splicer.js', componentizeJs).href);

const MEASURED_THEN_ENCODED =
  /\n {2}\/\/ Compute the exact allocation size up front\..*?\n {2}const res = \{ ptr, len, codepoints \};/s;

// A text in ASCII has as many bytes as characters, and is written where it belongs; another one is copied there.
const ENCODED = `
  let len = s.length;
  let ptr = realloc(0, 0, 1, len);
  const { read } = TEXT_ENCODER_UTF8.encodeInto(s, new Uint8Array(memory.buffer, ptr, len));
  if (read < s.length) {
    const bytes = TEXT_ENCODER_UTF8.encode(s);
    ptr = realloc(ptr, len, 1, bytes.length);
    len = bytes.length;
    new Uint8Array(memory.buffer, ptr, len).set(bytes);
  }
  const res = { ptr, len };`;

/** The module by which the entry of a component asks for this. */
export const REHEARSING = 'holster:sdk/rehearsal';

const BEFORE_EXPORTS = 'let tool010Call, tool010ListTools;';

// The engine specialises what has run a few dozen times. The places in memory are those of `result<tool-output, …>`: a
// list of pieces of 44 bytes each, of which the one that a rehearsal answers with is a text.
const REHEARSE = `
async function rehearse(call, calls) {
  const own = tool010Call;
  tool010Call = call;
  const result = $realloc(0, 0, 8, 64);
  for (let count = 0; count < 40; count++) {
    for (const [name, args] of calls) {
      const texts = [name, args, 'rehearsal', 'rehearsal'].flatMap((text) => {
        const { ptr, len } = _utf8AllocateAndEncode(text, $realloc, $memory);
        return [ptr, len];
      });
      await export_tool_0_1_0$call(...texts, 0n, result);
      const pieces = dataView($memory).getUint32(result + 4, true);
      $dealloc(dataView($memory).getUint32(pieces + 4, true), dataView($memory).getUint32(pieces + 8, true), 1);
      $dealloc(pieces, 44, 4);
    }
  }
  $dealloc(result, 64, 8);
  tool010Call = own;
}
defineBuiltinModule('${REHEARSING}', { rehearse });
`;

const spliceBindings = splicer.spliceBindings;
splicer.spliceBindings = (/** @type {unknown[]} */ ...given) => {
  const spliced = spliceBindings(...given);
  const jsBindings = spliced.jsBindings
    .replace(MEASURED_THEN_ENCODED, () => ENCODED)
    .replace(BEFORE_EXPORTS, () => BEFORE_EXPORTS + REHEARSE);
  return { ...spliced, jsBindings };
};

export { splicer };
