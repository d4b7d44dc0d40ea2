/** Files of this machine for pinned maps of the user-space target (runtime/maps/pins.ts). */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InputError } from '../errors.ts';
import type { PinFiles } from '../runtime/maps/pins.ts';

export const pinFiles: PinFiles = {
  absolute: (path) => resolve(path),
  read(path) {
    try {
      return readFileSync(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw refused(path, error);
    }
  },
  write(path, bytes) {
    const temporary = `${path}.${process.pid}.new`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(temporary, bytes);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw refused(path, error);
    }
  },
  remove(path) {
    rmSync(path, { force: true });
  },
  atExit(save) {
    process.once('exit', save);
  },
};

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'EIO';
}

function refused(path: string, error: unknown): InputError {
  const errno = errnoOf(error);
  return new InputError(`SLUICE_MAP_${errno}`, `pinned map ${path}: ${errno}`, {}, { cause: error });
}
