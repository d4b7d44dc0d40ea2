/** `sluice traits decode`: the traits that bytes, or the packets of a capture, have, with the names of a registry. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { readCapture } from '../net/capture.ts';
import { capturedTraits } from '../net/pcapng-traits.ts';
import { type TraitLayout, traitLayouts } from '../runtime/traits.ts';
import { readArea } from '../traits/area.ts';
import type { TraitRegistry } from '../traits/registry.ts';
import { SYSTEM_KEY } from '../traits/well-known.ts';
import { exitCode } from './exit.ts';
import { choiceOption } from './options.ts';
import { table, toHex } from './output.ts';
import { addRegistry, type RegistryOptions, readRegistryFile } from './registry-option.ts';
import { readInput } from './selector.ts';
import type { Finish } from './verb.ts';

interface DecodeOptions extends RegistryOptions {
  readonly layout: TraitLayout;
  readonly json?: boolean;
}

interface Decoded {
  readonly key: bigint;
  /** Of the registry; else what the capture says. */
  readonly name?: string;
  readonly value: Uint8Array;
  /** What is wrong with it by the registry. */
  readonly problem?: string;
}

export function addTraitsDecode(traits: Command, finish: Finish): void {
  const command = traits
    .command('decode')
    .description('traits of an area of bytes, or of the packets of a capture that `run --out FILE.pcapng` wrote')
    .argument('<bytes>', 'hexadecimal digits, or a file: raw bytes, pcap, pcapng; - is standard input')
    .option(
      '--layout <layout>',
      `of an area: ${Object.keys(traitLayouts).join(', ')}`,
      choiceOption(Object.keys(traitLayouts) as TraitLayout[]),
      '0-4-8' as const,
    )
    .option('--json', 'result as JSON (sluice.traits-decode/1)');
  addRegistry(command);
  command.action((source: string, options: DecodeOptions) =>
    finish(options.json === true, (output) => {
      const registry = options.registry === undefined ? undefined : readRegistryFile(options.registry);
      const bytes = bytesOf(source);
      const packets = isCapture(bytes) ? fromCapture(bytes, registry) : [fromArea(bytes, options.layout, registry)];
      const rows = [['PACKET', 'KEY', 'NAME', 'BYTES', 'VALUE', 'NUMBER', '']];
      for (const { index, traits } of packets)
        for (const { key, name, value, problem } of traits)
          rows.push([
            `${index}`,
            keyText(key),
            name ?? '-',
            `${value.length}`,
            toHex(value) || '-',
            numberText(value),
            problem ?? '',
          ]);
      if (rows.length === 1) output.line('no traits');
      else for (const row of table(rows)) output.line(row);
      output.document({
        schema: 'sluice.traits-decode/1',
        packets: packets.map(({ index, traits }) => ({
          index,
          traits: traits.map(({ key, name, value, problem }) => ({
            key,
            name: name ?? null,
            value: toHex(value),
            problem: problem ?? null,
          })),
        })),
      });
      return exitCode.yes;
    }),
  );
}

/** `7`, `2^63+0`. */
export function keyText(key: bigint): string {
  return key < SYSTEM_KEY ? `${key}` : `2^63+${key - SYSTEM_KEY}`;
}

function bytesOf(source: string): Uint8Array {
  if (source === '-' || existsSync(source)) return readInput(source);
  const digits = source.replace(/^0x/i, '').replace(/[\s:]/g, '');
  if (!/^([0-9a-f]{2})+$/i.test(digits))
    throw new InputError('SLUICE_TRAITS', 'neither a file nor an even number of hexadecimal digits', { input: source });
  return Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16));
}

/** First words of pcap (either byte order, µs or ns) and pcapng. */
const magics = ['a1b2c3d4', 'd4c3b2a1', 'a1b23c4d', '4d3cb2a1', '0a0d0d0a'];

function isCapture(bytes: Uint8Array): boolean {
  return magics.includes(toHex(bytes.subarray(0, 4)));
}

function fromArea(bytes: Uint8Array, layout: TraitLayout, registry: TraitRegistry | undefined) {
  const found = readArea(bytes, traitLayouts[layout]);
  if (found === undefined)
    throw new InputError(
      'SLUICE_TRAITS',
      `areas of layout ${layout} say nothing by themselves: where a value lies, the runtime knows`,
    );
  return { index: 0, traits: [...found].map(([key, value]) => named(BigInt(key), undefined, value, registry)) };
}

function fromCapture(bytes: Uint8Array, registry: TraitRegistry | undefined) {
  const packets: { index: number; traits: readonly Decoded[] }[] = [];
  let index = 0;
  for (const packet of readCapture(bytes)) {
    const traits = (capturedTraits(packet) ?? []).map(({ key, name, value }) => named(key, name, value, registry));
    if (traits.length > 0) packets.push({ index, traits });
    index++;
  }
  return packets;
}

function named(key: bigint, said: string | undefined, value: Uint8Array, registry: TraitRegistry | undefined): Decoded {
  const trait = registry === undefined || key >= SYSTEM_KEY ? undefined : registry.at(Number(key));
  const name = trait?.name ?? said;
  const problem =
    registry === undefined || key >= SYSTEM_KEY
      ? undefined
      : trait === undefined
        ? 'not registered'
        : said !== undefined && said !== trait.name
          ? `was ${said}`
          : trait.size !== value.length
            ? `registered with ${trait.size} bytes`
            : undefined;
  return { key, value, ...(name === undefined ? {} : { name }), ...(problem === undefined ? {} : { problem }) };
}

/** Unsigned, little-endian, as merge policies count. */
function numberText(value: Uint8Array): string {
  if (value.length === 0) return '';
  return value.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n).toString();
}
