/** Text that a verb makes: to a file, or to standard output. */
import { writeFileSync } from 'node:fs';
import { InputError } from '../errors.ts';
import type { Output } from './output.ts';

/** Writes `text` to `path`, to standard output without one. Throws InputError `SLUICE_FILE` where it cannot be written. */
export function writeText(path: string | undefined, text: string, output: Output): void {
  if (path === undefined) {
    if (!output.json) process.stdout.write(text);
    return;
  }
  try {
    writeFileSync(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError('SLUICE_FILE', `cannot be written: ${reason}`, { input: path }, { cause: error });
  }
}
