/** A registry of traits in a file: `--registry FILE` of verbs that run programs, and what `sluice traits` changes. */
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { TraitRegistry } from '../traits/registry.ts';
import { exportRegistry, readRegistry, registryText } from '../traits/registry-file.ts';
import { readInput } from './selector.ts';

export interface RegistryOptions {
  /** Path of the file. */
  readonly registry?: string;
}

export function addRegistry(command: Command): void {
  command.option(
    '--registry <file>',
    'names of packets\' traits and their keys (docs/metadata.md, "Names"), as `sluice traits add` writes them',
  );
}

/** Throws InputError where there is no such file, or it is no registry. */
export function readRegistryFile(path: string): TraitRegistry {
  return readRegistry(new TextDecoder().decode(readInput(path)), path);
}

/** An empty one where there is no such file. */
export function openRegistryFile(path: string): TraitRegistry {
  return existsSync(path) ? readRegistryFile(path) : new TraitRegistry();
}

/** All of it or nothing: whoever reads the file meanwhile finds one of the two. */
export function writeRegistryFile(path: string, registry: TraitRegistry): void {
  const next = `${path}.${process.pid}.new`;
  try {
    writeFileSync(next, registryText(exportRegistry(registry)));
    renameSync(next, path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError('SLUICE_FILE', `cannot be written: ${reason}`, { input: path }, { cause: error });
  }
}
