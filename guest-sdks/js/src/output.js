// What a tool answers with, where a text or a value is not enough: pictures, sounds, links, several pieces.
//
// A tool that returns an `Output` decides on every piece of content itself, and declares no output schema.

/** @typedef {import('holster:plugin/tool@0.1.0').Content} Content */

export class Output {
  /** @type {Content[]} */
  content = [];

  /** @param {string} text */
  text(text) {
    return this.#and({ tag: 'text', val: text });
  }

  /** @param {Uint8Array} data @param {string} mimeType */
  image(data, mimeType) {
    return this.#and({ tag: 'image', val: { data, mimeType } });
  }

  /** @param {Uint8Array} data @param {string} mimeType */
  audio(data, mimeType) {
    return this.#and({ tag: 'audio', val: { data, mimeType } });
  }

  /** @param {import('holster:plugin/tool@0.1.0').ResourceLink} link */
  link(link) {
    return this.#and({ tag: 'resource-link', val: link });
  }

  /** @param {{ uri: string, contents: string | Uint8Array, mimeType?: string }} resource */
  resource({ uri, contents, mimeType }) {
    const held =
      typeof contents === 'string'
        ? { tag: /** @type {const} */ ('text'), val: contents }
        : { tag: /** @type {const} */ ('blob'), val: contents };
    return this.#and({ tag: 'embedded-resource', val: { uri, mimeType, contents: held } });
  }

  /** @param {Content} content */
  #and(content) {
    this.content.push(content);
    return this;
  }
}
