/** Programs of any size for the verifier, one shape each: how its time grows with them says whether it is linear. */
import { assemble } from '../isa/assembler.ts';
import { LDDW_SOURCE, OPCODE } from '../isa/opcodes.ts';
import { readObject } from '../object/index.ts';
import type { MapSpec, ObjectSpec, Reference } from '../object/spec.ts';
import { writeObject } from '../object/write.ts';

export type GrowthShape = 'straight line' | 'joined branches' | 'bounded loop' | 'nested calls' | 'lookups in a loop';

/** Stands for the array map in the texts below. */
const MAP = 0x5107;

const map: MapSpec = {
  name: 'table',
  type: 'array',
  keySize: 4,
  valueSize: 8,
  maxEntries: 16,
  flags: 0,
  mapExtra: 0n,
  numaNode: 0,
  pinning: 'none',
  keyTypeId: 0,
  valueTypeId: 0,
  inner: undefined,
  contents: { kind: 'none' },
  section: '.maps',
};

/** Texts of about `size` instructions that the verifier follows. */
const texts: Readonly<Record<GrowthShape, (size: number) => string>> = {
  'straight line': (size) =>
    [
      'r1 = *(u32 *)(r1 + 12)',
      ...repeat(size / 4, () => ['r2 = r1', 'r2 += 7', 'r2 &= 255', 'r1 ^= r2']),
      'r0 = 2',
    ].join('\n'),
  'joined branches': (size) =>
    [
      'r6 = r1',
      'call 7',
      'r7 = r0',
      ...repeat(size / 8, (i) => [
        'r2 = 1',
        'r3 = r7',
        `r3 >>= ${i % 32}`,
        'r3 &= 1',
        `if r3 == 0 goto join_${i}`,
        'r2 = 2',
        'r2 += 1',
        `join_${i}:`,
        'r7 += r2',
      ]),
      'r0 = 2',
    ].join('\n'),
  'bounded loop': (size) =>
    [
      'r6 = 0',
      'again:',
      'r2 = r6',
      'r2 <<= 3',
      'r2 ^= r6',
      'r3 = r2',
      'r3 &= 255',
      'r4 = r3',
      'r6 += 1',
      `if r6 < ${Math.ceil(size / 8)} goto again`,
      'r0 = 2',
    ].join('\n'),
  'nested calls': (size) =>
    [
      ...repeat(size / 36, (i) => [`r1 = ${i}`, 'call one']),
      'r0 = 2',
      'exit',
      ...['one', 'two', 'three', 'four'].flatMap((name, i, all) => [
        `${name}:`,
        'r6 = r1',
        'r6 += 1',
        '*(u64 *)(r10 - 8) = r6',
        'r1 = *(u64 *)(r10 - 8)',
        ...(i + 1 < all.length ? [`call ${all[i + 1]}`] : ['r0 = r1']),
        'r0 += r6',
        'r0 &= 255',
        ...(i + 1 < all.length ? ['exit'] : []),
      ]),
    ].join('\n'),
  'lookups in a loop': (size) =>
    [
      'r6 = 0',
      'again:',
      '*(u32 *)(r10 - 4) = r6',
      'r2 = r10',
      'r2 += -4',
      `r1 = ${MAP} ll`,
      'call 1',
      'if r0 == 0 goto next',
      'r1 = *(u64 *)(r0 + 0)',
      'r1 += 1',
      '*(u64 *)(r0 + 0) = r1',
      'next:',
      'r6 += 1',
      `if r6 != ${Math.ceil(size / 13)} goto again`,
      'r0 = 2',
    ].join('\n'),
};

export const growthShapes = Object.keys(texts) as GrowthShape[]; // it has no others

/** An object with one XDP program of the shape; `size` is what the verifier follows, about. */
export function grownObject(shape: GrowthShape, size: number): ObjectSpec {
  const { insns, functions } = assemble(`grown:\n${texts[shape](size)}\nexit`, { syntax: 'llvm' });
  const spec = readObject(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), `${shape} ${size}`);
  const program = spec.programs.get('grown')!;
  const references = new Map<number, Reference>();
  const linked = program.insns.map((insn, slot) => {
    if (insn.opcode !== OPCODE.LDDW || insn.imm !== MAP) return insn;
    references.set(slot, { kind: 'map', map: map.name });
    return { ...insn, src: LDDW_SOURCE.MAP_FD, imm: 0 };
  });
  return {
    ...spec,
    maps: new Map(references.size > 0 ? [[map.name, map]] : []),
    programs: new Map([['grown', { ...program, insns: linked, references }]]),
  };
}

function repeat(count: number, lines: (i: number) => readonly string[]): string[] {
  return Array.from({ length: Math.max(1, Math.round(count)) }, (_, i) => lines(i)).flat();
}
