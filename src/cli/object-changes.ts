/** Options that change an object before it is loaded: sizes of its maps, types of its programs. */
import { type Command, InvalidArgumentError } from 'commander';
import type { MapSize, ObjectChanges } from '../object/changes.ts';

export interface ChangeOptions {
  readonly maxEntries?: Readonly<Record<string, number>>;
  readonly valueSize?: Readonly<Record<string, number>>;
  readonly type?: Readonly<Record<string, string>>;
}

export function addObjectChanges(command: Command): void {
  command
    .option('--max-entries <map=n>', 'entries of a map, in place of what the object says; may be repeated', sizeOption)
    .option('--value-size <map=n>', 'bytes of the values of a map, likewise', sizeOption)
    .option(
      '--type <[program=]type>',
      'type of a program, or of those whose section says none, by section name (sk_msg, cgroup/connect4) or type; may be repeated',
      typeOption,
    );
}

/** Undefined where nothing is changed. */
export function changesOf({ maxEntries, valueSize, type }: ChangeOptions): ObjectChanges | undefined {
  if (maxEntries === undefined && valueSize === undefined && type === undefined) return undefined;
  const mapSizes: Record<string, MapSize> = {};
  for (const [map, count] of Object.entries(maxEntries ?? {})) mapSizes[map] = { maxEntries: count };
  for (const [map, bytes] of Object.entries(valueSize ?? {})) mapSizes[map] = { ...mapSizes[map], valueSize: bytes };
  return { mapSizes, ...(type === undefined ? {} : { types: type }) };
}

function sizeOption(text: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const [, map, size] = /^(.+)=(0x[0-9a-fA-F]+|\d+)$/.exec(text) ?? [];
  if (map === undefined || !(Number(size) <= 0xffff_ffff)) throw new InvalidArgumentError('must be MAP=N.');
  return { ...before, [map]: Number(size) };
}

function typeOption(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, program = '*', type] = /^(?:([^=]+)=)?(.+)$/.exec(text) ?? [];
  if (type === undefined) throw new InvalidArgumentError('must be TYPE or PROGRAM=TYPE.');
  return { ...before, [program]: type };
}
