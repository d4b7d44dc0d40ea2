/** What this machine's kernel offers, as plain data. */
import { UnsupportedError } from '../errors.ts';
import { createMap } from './bpf-maps.ts';
import { close } from './ffi.ts';

/**
 * Why bpf(2) cannot be used here, for messages and skipped tests: `bpf(2) refused: EPERM`, `needs Linux`; undefined where it can. Asks by
 * creating an array map.
 */
export function bpfRefusal(): string | undefined {
  try {
    close(createMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1, name: 'sluice_probe' }));
    return undefined;
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message;
    throw error;
  }
}
