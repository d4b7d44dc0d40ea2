/** Files of a folder tree. */
import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** All files below `folder`, without node_modules and what begins with a dot. A folder that may not be read has none. */
export function* filesBelow(folder: string): Generator<string, void, undefined> {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return;
  }
  for (const entry of entries) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue;
    const path = folder === '.' ? entry.name : join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}
