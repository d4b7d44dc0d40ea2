/** `OBJ`, `OBJ:program` or `OBJ:section`: how the command line names programs. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { InputError } from '../errors.ts';
import { changeObject, type ObjectChanges } from '../object/changes.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';

export interface Selection {
  readonly path: string;
  readonly object: ObjectSpec;
  /** What the selector names; all programs of the object without one. */
  readonly programs: readonly ProgramSpec[];
}

/** Reads the object, with `changes`, and picks its programs. Throws InputError where there is no such file or program. */
export function select(selector: string, changes?: ObjectChanges): Selection {
  const colon = existsSync(selector) ? -1 : selector.lastIndexOf(':');
  const path = colon < 0 ? selector : selector.slice(0, colon);
  const wanted = colon < 0 ? undefined : selector.slice(colon + 1);
  const read = readObject(readInput(path), basename(path));
  const object = changes === undefined ? read : changeObject(read, changes);
  const all = [...object.programs.values()];
  if (wanted === undefined) return { path, object, programs: all };
  const programs = all.filter((program) => program.name === wanted);
  if (programs.length === 0) programs.push(...all.filter((program) => program.section === wanted));
  if (programs.length === 0) {
    const names = all.map((program) => program.name).join(', ') || 'none';
    throw new InputError('SLUICE_NO_PROGRAM', `no program or section ${wanted}; its programs: ${names}`, {
      input: path,
    });
  }
  return { path, object, programs };
}

/** As `select`, for verbs that run one program. */
export function selectOne(selector: string, changes?: ObjectChanges): Selection & { readonly program: ProgramSpec } {
  const selection = select(selector, changes);
  const [program, ...others] = selection.programs;
  if (program === undefined) throw new InputError('SLUICE_NO_PROGRAM', 'has no programs', { input: selection.path });
  if (others.length > 0) {
    const names = selection.programs.map((each) => `${selection.path}:${each.name}`).join('\n  ');
    throw new InputError('SLUICE_WHICH_PROGRAM', `names several programs; choose one of\n  ${names}`, {
      input: selector,
    });
  }
  return { ...selection, program };
}

/** Bytes of a file; `-` is standard input. */
export function readInput(path: string): Uint8Array {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError('SLUICE_FILE', `cannot be read: ${reason}`, { input: path }, { cause: error });
  }
}

/** A JSON file. Throws InputError `SLUICE_JSON` with what is wrong. */
export function readJson(path: string): unknown {
  const text = new TextDecoder().decode(readInput(path));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError('SLUICE_JSON', error instanceof Error ? error.message : String(error), { input: path });
  }
}
