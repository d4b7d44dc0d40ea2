/** Which object files a command line means: files, file:program, and folders with all below them. */
import { existsSync, statSync } from 'node:fs';
import { InputError } from '../errors.ts';
import { filesBelow } from './folder.ts';

/** Selectors in order; of a folder its *.o files, sorted. Throws InputError `SLUICE_NO_OBJECTS` for a folder without any. */
export function findObjects(selectors: readonly string[]): string[] {
  return selectors.flatMap((selector) => {
    if (!existsSync(selector) || !statSync(selector).isDirectory()) return [selector];
    const found = [...filesBelow(selector)].filter((path) => path.endsWith('.o')).sort();
    if (found.length === 0)
      throw new InputError('SLUICE_NO_OBJECTS', 'no object files (*.o) there', { input: selector });
    return found;
  });
}
