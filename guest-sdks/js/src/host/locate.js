// Which folder a path lies in.

/**
 * The folder with the longest name, and the path in it: `.` for the folder itself. `..` is resolved by the names alone.
 *
 * @template Folder
 * @param {string} path
 * @param {Iterable<[Folder, string]>} folders
 * @returns {[Folder, string]}
 */
export function locate(path, folders) {
  const parts = partsOf(path);
  let found;
  let most = -1;
  for (const [folder, name] of folders) {
    const own = partsOf(name);
    if (own.length > most && own.every((part, place) => part === parts[place])) {
      most = own.length;
      found = folder;
    }
  }
  if (!found) throw { payload: 'no-entry' };
  return [found, parts.slice(most).join('/') || '.'];
}

/** @param {string} path */
function partsOf(path) {
  /** @type {string[]} */
  const parts = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}
