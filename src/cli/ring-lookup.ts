/** `sluice ring lookup FILE KEY…`: keys in a tree on disk, each node read where the one before says. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { lookupMany, type TreeFormat } from '../hooks/ring/patterns/lookup.ts';
import { exitCode, UsageError } from './exit.ts';
import { integerOption } from './options.ts';
import { addSessionOptions, type SessionOptions, withRing } from './ring-session.ts';
import { readInput } from './selector.ts';
import type { Finish } from './verb.ts';

interface LookupVerbOptions extends SessionOptions {
  readonly format: string;
  readonly depth: number;
}

function readFormat(path: string): TreeFormat {
  try {
    const format: unknown = JSON.parse(new TextDecoder().decode(readInput(path)));
    if (typeof format !== 'object' || format === null || !('nodeSize' in format) || !('children' in format))
      throw new Error('an object with nodeSize, children and value is needed');
    return format as TreeFormat; // lookupMany checks the numbers
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError('SLUICE_RING_FORMAT', `no format of a tree: ${String(error)}`, { input: path });
  }
}

export function addRingLookup(ring: Command, finish: Finish): void {
  addSessionOptions(ring.command('lookup').description('look keys up in a B+-tree, or follow a chain, on disk'))
    .argument('<file>', 'file with the tree')
    .argument('<key...>', 'unsigned numbers, also 0x…')
    .requiredOption('--format <file>', 'JSON: nodeSize, levels or leaf, keys, count, children, value (docs/ring.md)')
    .option('--depth <n>', 'lookups at once', integerOption(1, 1024), 32)
    .action((file: string, keys: string[], options: LookupVerbOptions) =>
      finish(options.json === true, async (output) => {
        const numbers = keys.map((key) => {
          if (!/^(0x[0-9a-fA-F]+|\d+)$/.test(key)) throw new UsageError(`a key is an unsigned number, not ${key}`);
          return BigInt(key);
        });
        const format = readFormat(options.format);
        const results = await withRing(options, async (session) => {
          const fd = await session.open(file);
          try {
            return await lookupMany(session, fd, format, numbers, { depth: options.depth });
          } finally {
            await session.closeFd(fd);
          }
        });
        const found = results.map(({ value, levels }, i) => ({
          key: String(numbers[i]),
          value: value === undefined ? null : Buffer.from(value).toString('hex'),
          levels,
        }));
        for (const { key, value, levels } of found)
          output.line(`${key}: ${value ?? 'not there'} (${levels} nodes read)`);
        output.document({ schema: 'sluice.ring-lookup/1', file, results: found });
        return found.every(({ value }) => value !== null) ? exitCode.yes : exitCode.no;
      }),
    );
}
