// A program of the tests, as numbers -> what the verifier says of it.
import type { ProgramTypeName } from '../abi/program-types.ts';
import { functionsOf } from '../isa/functions.ts';
import type { Insn } from '../isa/insn.ts';
import type { MapSpec, ProgramSpec, Reference } from '../object/spec.ts';
import { type VerifyOptions, verify } from './verify.ts';

export const map: MapSpec = {
  name: 'm',
  type: 'hash',
  keySize: 8,
  valueSize: 16,
  maxEntries: 4,
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
export const ring: MapSpec = { ...map, name: 'r', type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096 };

/** Opcode, dst, src, off, imm. */
export type Short = readonly [number, number?, number?, number?, number?];

/** Verdict, slot and problem of a program. @param maps by slot of the LDDW, and @param kfuncs by slot of the call: names. */
export function judge(
  code: readonly Short[],
  maps: Readonly<Record<number, string>> = {},
  type: ProgramTypeName = 'xdp',
  kfuncs: Readonly<Record<number, string>> = {},
  specs: readonly MapSpec[] = [map, ring],
  options: VerifyOptions = {},
): string {
  const insns: Insn[] = code.map(([opcode, dst = 0, src = 0, off = 0, imm = 0]) => ({ opcode, dst, src, off, imm }));
  const program: ProgramSpec = {
    name: 'p',
    section: type,
    autoload: true,
    type,
    attachType: undefined,
    attachTo: undefined,
    sleepable: false,
    frags: false,
    insns,
    functions: functionsOf(insns).map((range) => ({ name: 'f', linkage: 'static', btfId: undefined, ...range })),
    references: new Map([
      ...Object.entries(maps).map(([slot, name]): [number, Reference] => [Number(slot), { kind: 'map', map: name }]),
      ...Object.entries(kfuncs).map(([slot, name]): [number, Reference] => [
        Number(slot),
        { kind: 'kfunc', name, weak: false },
      ]),
    ]),
    coreRelocations: [],
    lines: [],
  };
  const byName = new Map(specs.map((m) => [m.name, m]));
  const result = verify({ program, maps: byName, license: 'GPL', btf: undefined }, options);
  return result.verdict === 'accept'
    ? 'accept'
    : `${result.verdict} ${result.diagnostics[0]!.slot}: ${result.diagnostics[0]!.problem}`;
}
