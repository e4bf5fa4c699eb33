// The host, as a component sees it. These modules exist only where the contract is linked; bundles for components
// come here by the condition `holster-component`, everything else goes to `outside.js`.

export { get as getCredential } from 'holster:plugin/auth@0.1.0';
export { ask as askPerson, log as logMessage, progress as reportProgress } from 'holster:plugin/session@0.1.0';
export { listFolder, makeFolder, readFile, removeFile, writeFile } from './folders.js';
export { get as getSetting } from 'wasi:config/store@0.2.0-rc.1';
