import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../errors.ts';
import { SYSTEM_KEY } from '../traits/well-known.ts';
import { readObject } from './index.ts';
import { withTraitKeys } from './traits.ts';

const file = readFileSync(fileURLToPath(new URL('../../bpf/objects/metadata/trait_names.bpf.o', import.meta.url)));
const section = readObject(file, 'names').sections.find(({ name }) => name === '.traits')!;
const DECLARATION = 24;

/** The object with its section changed. */
function withSection(change: (bytes: Uint8Array, view: DataView) => void) {
  const bytes = Uint8Array.from(file);
  const part = bytes.subarray(section.offset, section.offset + section.size);
  change(part, new DataView(bytes.buffer, section.offset, section.size));
  return () => readObject(bytes, 'names');
}
const text = (bytes: Uint8Array, at: number, value: string) => {
  bytes.fill(0, at, at + 16);
  bytes.set(new TextEncoder().encode(value), at);
};

describe('.traits', () => {
  it('has four declarations, and references to them are LDDWs of their keys', () => {
    expect(section.size).toBe(4 * DECLARATION);
    const { programs } = readObject(file, 'names');
    const keysIn = (name: string) =>
      [...programs.get(name)!.references].flatMap(([slot, reference]) => {
        if (reference.kind !== 'trait') return [];
        const [low, high] = [slot, slot + 1].map((at) => BigInt(programs.get(name)!.insns[at]!.imm >>> 0));
        return [[reference.name, low! | (high! << 32n), programs.get(name)!.insns[slot]!.src]];
      });
    expect(keysIn('name_flow')).toEqual([
      ['flow_id', 0n, 0],
      ['packets', 1n, 0],
      ['packet_id', SYSTEM_KEY + 7n, 0],
      ['from_outside', 2n, 0],
    ]);
    expect(keysIn('count_flow')).toEqual([
      ['flow_id', 0n, 0],
      ['packets', 1n, 0],
      ['from_outside', 2n, 0],
    ]);
  });

  it('takes names of 16 bytes, flags, and the same declaration twice', () => {
    const read = withSection((bytes, view) => {
      text(bytes, 0, '1234567890123456');
      view.setUint32(20, 2 | (1 << 8), true);
      bytes.copyWithin(DECLARATION, 0, DECLARATION);
    });
    expect(read().traits.map(({ name, flags, policy, key }) => [name, flags, policy, key])).toEqual([
      ['1234567890123456', 1, 'SUM', 0n],
      ['from_outside', 0, 'OR', 1n],
      ['packet_id', 0, 'KEEP_FIRST', SYSTEM_KEY + 7n],
    ]);
  });

  it.each([
    [
      'no name',
      (bytes: Uint8Array) => text(bytes, 0, ''),
      /names, \.traits, offset 0x0: trait "": names are 1 to 16 bytes/,
    ],
    [
      'bytes behind the name',
      (bytes: Uint8Array) => bytes.fill(65, 15, 16),
      /offset 0x0: a name is 1 to 16 bytes of UTF-8/,
    ],
    ['no UTF-8', (bytes: Uint8Array) => bytes.fill(0xff, 24, 25), /offset 0x18: a name is/],
    ['a line break', (bytes: Uint8Array) => text(bytes, 24, 'a\nb'), /offset 0x18: trait "a\\nb": names are/],
    [
      'length 3',
      (bytes: Uint8Array) => bytes.fill(3, 16, 17),
      /offset 0x0: trait flow_id: values are 0, 1, 2, 4, 8, 16/,
    ],
    ['policy 7', (bytes: Uint8Array) => bytes.fill(7, 20, 21), /offset 0x0: trait flow_id: there is no merge policy 7/],
    ['flags', (bytes: Uint8Array) => bytes.fill(2, 21, 22), /offset 0x0: trait flow_id: no flags 2/],
    [
      'a name twice',
      (bytes: Uint8Array) => text(bytes, 24, 'flow_id'),
      /offset 0x18: trait flow_id is registered with 4 bytes, not 8/,
    ],
    [
      'another length than the system',
      (bytes: Uint8Array) => text(bytes, 0, 'rx_timestamp'),
      /the system's, of 8 bytes, not 4/,
    ],
  ])('is refused with %s', (_, change, message) => {
    const read = withSection(change);
    expect(read).toThrow(message);
    expect(read).toThrow(expect.objectContaining({ code: 'SLUICE_TRAITS' }));
  });

  it('may be anything', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: section.size, maxLength: section.size, size: 'max' }), (bytes) => {
        try {
          withSection((part) => part.set(bytes))();
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 200 },
    );
  });
});

it('other keys go into the instructions, and nowhere else', () => {
  const object = readObject(file, 'names');
  const moved = withTraitKeys(object, new Map([['packets', 63n]]));
  expect(moved.traits.map(({ key }) => key)).toEqual([0n, 63n, 2n, SYSTEM_KEY + 7n]);
  for (const [name, program] of object.programs) {
    const after = moved.programs.get(name)!;
    const changed = program.insns.flatMap((insn, slot) => (insn.imm === after.insns[slot]!.imm ? [] : [slot]));
    const expected = [...program.references].filter(([, each]) => each.kind === 'trait' && each.name === 'packets');
    expect(changed).toEqual(expected.map(([slot]) => slot));
    expect(after.traits).toEqual(moved.traits);
  }
  expect(withTraitKeys(object, new Map())).toEqual(object);
});
