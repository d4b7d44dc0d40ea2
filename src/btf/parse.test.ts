import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../errors.ts';
import { codecFor } from './codec.ts';
import { applyCoreRelocations } from './core.ts';
import { alignmentOf } from './layout.ts';
import { parseBtf } from './parse.ts';
import { printC } from './print-c.ts';
import { printTypeScript } from './print-typescript.ts';
import type { Btf, BtfType } from './types.ts';
import { BtfBuilder } from './write.ts';

const VMLINUX = '/sys/kernel/btf/vmlinux';
const noKernel = existsSync(VMLINUX) ? '' : ` (skipped: no ${VMLINUX})`;

const int = { kind: 'int', name: 'int', size: 4, bits: 32, offset: 0, signed: true, bool: false, char: false } as const;
/** One of every kind; ids are places in the list, from 1. */
const everyKind: readonly BtfType[] = [
  int,
  { kind: 'ptr', name: '', type: 4 },
  { kind: 'array', name: '', type: 1, indexType: 1, length: 3 },
  {
    kind: 'struct',
    name: 'node',
    size: 24,
    members: [
      { name: 'next', type: 2, bitOffset: 0, bitSize: 0 },
      { name: 'list', type: 3, bitOffset: 64, bitSize: 0 },
      { name: 'low', type: 1, bitOffset: 160, bitSize: 3 },
    ],
  },
  { kind: 'union', name: 'either', size: 8, members: [{ name: 'a', type: 1, bitOffset: 0, bitSize: 0 }] },
  { kind: 'enum', name: 'color', size: 4, signed: true, values: [{ name: 'RED', value: -1n }] },
  { kind: 'fwd', name: 'hidden', union: true },
  { kind: 'typedef', name: 'node_t', type: 4 },
  { kind: 'volatile', name: '', type: 8 },
  { kind: 'const', name: '', type: 9 },
  { kind: 'restrict', name: '', type: 2 },
  { kind: 'func', name: 'go', type: 13, linkage: 'global' },
  {
    kind: 'func_proto',
    name: '',
    returns: 0,
    params: [
      { name: 'x', type: 1 },
      { name: '', type: 0 },
    ],
  },
  { kind: 'var', name: 'state', type: 4, linkage: 'static' },
  { kind: 'datasec', name: '.data', size: 24, vars: [{ type: 14, offset: 0, size: 24 }] },
  { kind: 'float', name: 'double', size: 8 },
  { kind: 'decl_tag', name: 'tag', type: 4, component: -1, attribute: false },
  { kind: 'type_tag', name: 'user', type: 4, attribute: true },
  { kind: 'enum64', name: 'wide', size: 8, signed: false, values: [{ name: 'HUGE', value: 2n ** 63n }] },
];

function build(types: readonly BtfType[]): Btf {
  const builder = new BtfBuilder();
  for (const type of types) builder.add(type);
  return builder.build();
}
/** Anything but a refusal fails the test. */
function refusing(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
  }
}
const typesOf = (btf: Btf) => Array.from({ length: btf.typeCount - 1 }, (_, index) => btf.type(index + 1));

describe('BTF', () => {
  it('keeps every kind through writing and parsing', () => {
    const btf = build(everyKind);
    expect(typesOf(btf)).toEqual(everyKind);
    expect(typesOf(parseBtf(btf.bytes.slice()))).toEqual(everyKind);
    expect(BtfBuilder.from(btf).build().bytes).toEqual(btf.bytes);
    expect(btf.type(0)).toBeUndefined();
  });

  it('finds types by name, kind and essential name', () => {
    const flavored = { ...everyKind[3]!, name: 'node___old' } as BtfType; // a struct with another name
    const btf = build([...everyKind, flavored, { kind: 'fwd', name: 'node', union: false }]);
    expect(btf.find('node')).toBe(4);
    expect(btf.find('node', 'fwd')).toBe(21);
    expect(btf.find('node', 'int')).toBeUndefined();
    expect(btf.findAll('node')).toEqual([4, 21]);
    expect(btf.findAll('node___old')).toEqual([20]);
    expect(btf.findEssential('node')).toEqual([4, 20, 21]);
    expect(btf.findAll('nothing')).toEqual([]);
  });

  it('resolves typedefs and qualifiers, and knows sizes and alignments', () => {
    const btf = build(everyKind);
    expect(btf.resolve(10)).toMatchObject({ id: 4, type: { kind: 'struct' } });
    expect(btf.sizeOf(10)).toBe(24);
    expect(btf.sizeOf(3)).toBe(12);
    expect(btf.sizeOf(2)).toBe(8);
    expect(alignmentOf(btf, 4)).toBe(8);
    expect(alignmentOf(btf, 3)).toBe(4);
    for (const id of [0, 7, 12]) expect(() => btf.sizeOf(id)).toThrow(/has no size/);
    expect(() => btf.type(99)).toThrow(/type id 99 is out of range/);
  });

  it('refuses chains that are loops', () => {
    const btf = build([
      { kind: 'typedef', name: 'a', type: 2 },
      { kind: 'typedef', name: 'b', type: 1 },
      { kind: 'array', name: '', type: 3, indexType: 3, length: 2 },
    ]);
    expect(() => btf.resolve(1)).toThrow(/run in a loop/);
    expect(() => btf.sizeOf(3)).toThrow(/run in a loop/);
  });

  it('reads split BTF on top of its base', () => {
    const base = build(everyKind);
    // As a module's: ids and string offsets go on where the base ends.
    const own = new TextEncoder().encode('mine\0');
    const bytes = new Uint8Array(24 + 12 + own.length);
    const view = new DataView(bytes.buffer);
    const baseStrings = new DataView(base.bytes.buffer).getUint32(20, true);
    for (const [index, word] of [0x1eb9f, 24, 0, 12, 12, own.length].entries()) view.setUint32(index * 4, word, true);
    view.setUint32(24, baseStrings, true);
    view.setUint32(28, 8 << 24, true);
    view.setUint32(32, 4, true);
    bytes.set(own, 36);
    const split = parseBtf(bytes, base);
    expect(split.typeCount).toBe(21);
    expect(split.type(20)).toEqual({ kind: 'typedef', name: 'mine', type: 4 });
    expect(split.find('mine')).toBe(20);
    expect(split.find('node')).toBe(4);
    expect(split.sizeOf(20)).toBe(24);
  });

  it('reads what was built on top of a base, twice', () => {
    const base = build(everyKind);
    const first = new BtfBuilder(base);
    expect(first.add({ kind: 'typedef', name: 'mine', type: 4 })).toBe(20);
    const split = first.build();
    const second = new BtfBuilder(split);
    expect(second.add({ kind: 'ptr', name: '', type: 20 })).toBe(21);
    expect(second.add({ kind: 'typedef', name: 'mine_ptr', type: 21 })).toBe(22);
    const top = second.build();
    expect([top.find('node'), top.find('mine'), top.find('mine_ptr')]).toEqual([4, 20, 22]);
    expect(top.resolve(20)).toEqual(base.resolve(4));
    expect(split.find('mine_ptr')).toBeUndefined();
  });

  it.each([
    ['an empty file', (_: DataView) => new Uint8Array(0), /too few/],
    ['another magic', (v: DataView) => v.setUint16(0, 1), /magic/],
    ['big-endian', (v: DataView) => v.setUint16(0, 0xeb9f), /big-endian/],
    ['another version', (v: DataView) => v.setUint8(2, 9), /version 9/],
    ['a header that is too long', (v: DataView) => v.setUint32(4, 1 << 30, true), /header length/],
    ['types behind the end', (v: DataView) => v.setUint32(12, 0xffffffff, true), /types end at/],
    ['strings behind the end', (v: DataView) => v.setUint32(20, 0xffffffff, true), /strings end at/],
    ['an unknown kind', (v: DataView) => v.setUint32(28, 31 << 24, true), /unknown kind 31/],
    ['a type id that is too high', (v: DataView) => v.setUint32(48, 4000, true), /type id 4000 is out of range/],
    ['a name outside', (v: DataView) => v.setUint32(24, 0xfffffff0, true), /outside the table/],
    ['too many members', (v: DataView) => v.setUint32(28, (4 << 24) | 0xffff, true), /is cut off/],
  ] as const)('refuses %s', (_, damage, message) => {
    let bytes = build(everyKind).bytes.slice();
    const result = damage(new DataView(bytes.buffer));
    if (result instanceof Uint8Array) bytes = result;
    expect(() => parseBtf(bytes)).toThrow(message);
    expect(() => parseBtf(bytes)).toThrow(InputError);
  });

  it('property: damaged bytes give types or an InputError, soon', () => {
    const { bytes } = build(everyKind);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.nat(bytes.length),
        (changes, length) => {
          const damaged = bytes.slice(0, length < 24 ? bytes.length : length);
          for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value;
          let btf: Btf | undefined;
          refusing(() => {
            btf = parseBtf(damaged);
          });
          if (btf === undefined) return;
          const whole = btf;
          for (let id = 1; id < whole.typeCount; id++) {
            refusing(() => whole.type(id));
            refusing(() => whole.sizeOf(id));
            refusing(() => alignmentOf(whole, id));
            refusing(() => {
              const { size, decode } = codecFor(whole, id);
              if (size < 1 << 16) decode(new Uint8Array(size));
            });
            refusing(() => printTypeScript(whole, [{ name: 'Root', typeId: id }]));
          }
          refusing(() => printC(whole));
          refusing(() => whole.findAll('node'));
          for (const kind of ['field_byte_offset', 'type_matches', 'type_size'] as const) {
            const coreRelocations = [
              { slot: 0, typeId: 4, access: kind === 'field_byte_offset' ? '0:1:2' : '0', kind },
            ];
            const insns = [{ opcode: 0xb7, dst: 0, src: 0, off: 0, imm: 16 }];
            refusing(() => applyCoreRelocations({ name: 'p', insns, coreRelocations }, whole, whole));
          }
        },
      ),
      { numRuns: 600 },
    );
  });
});

describe.skipIf(noKernel !== '')(`this kernel’s BTF${noKernel}`, () => {
  const bytes = noKernel === '' ? new Uint8Array(readFileSync(VMLINUX)) : new Uint8Array();

  it('is indexed in well under 300 ms and decodes whole', () => {
    const before = performance.now();
    const btf = parseBtf(bytes);
    expect(performance.now() - before).toBeLessThan(300);
    expect(btf.typeCount).toBeGreaterThan(10_000);
    const task = btf.type(btf.find('task_struct', 'struct')!);
    expect(task).toMatchObject({
      kind: 'struct',
      members: expect.arrayContaining([expect.objectContaining({ name: 'pid' })]),
    });
    for (let id = 1; id < btf.typeCount; id++) if (btf.type(id) === undefined) throw new Error(`type ${id}`);
  });

  it('is the same after writing it anew', () => {
    const btf = parseBtf(bytes);
    const again = BtfBuilder.from(btf).build();
    expect(again.typeCount).toBe(btf.typeCount);
    for (let id = 1; id < btf.typeCount; id += 97) expect(again.type(id)).toEqual(btf.type(id));
  });
});
