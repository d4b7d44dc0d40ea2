/** What a program asks of its runtime: the conformance groups of RFC 9669 section 2.4 and LLVM's -mcpu level. */
import type { Insn } from './insn.ts';
import { OPCODE } from './opcodes.ts';
import type { Operation } from './operation.ts';
import { describeInsn } from './operation-decode.ts';

/** RFC 9669's groups, bpf_conformance's `callx`, and `linux`: what Linux has beyond the RFC. */
export type ConformanceGroup =
  | 'base32'
  | 'base64'
  | 'atomic32'
  | 'atomic64'
  | 'divmul32'
  | 'divmul64'
  | 'packet'
  | 'callx'
  | 'linux';
/** LLVM's `-mcpu=vN`. */
export type CpuVersion = 1 | 2 | 3 | 4;

export interface Requirements {
  readonly groups: ReadonlySet<ConformanceGroup>;
  /** The lowest that has every instruction. */
  readonly cpuVersion: CpuVersion;
}

/** Slots that hold no known instruction ask for nothing. */
export function requirementsOf(insns: readonly Insn[]): Requirements {
  const groups = new Set<ConformanceGroup>();
  let cpuVersion: CpuVersion = 1;
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    const operation = describeInsn(insn, insns[slot + 1]);
    if (insn.opcode === OPCODE.LDDW) slot++;
    if (operation === undefined) continue;
    groups.add(groupOf(operation));
    const version = versionOf(operation);
    if (version > cpuVersion) cpuVersion = version;
  }
  return { groups, cpuVersion };
}

function groupOf(operation: Operation): ConformanceGroup {
  switch (operation.kind) {
    case 'alu':
      switch (operation.op) {
        case 'mul':
        case 'div':
        case 'sdiv':
        case 'mod':
        case 'smod':
          return operation.width === 64 ? 'divmul64' : 'divmul32';
      }
      return operation.width === 64 ? 'base64' : 'base32';
    case 'neg':
    case 'movsx':
      return operation.width === 64 ? 'base64' : 'base32';
    case 'endian':
      return operation.bits === 64 ? 'base64' : 'base32';
    case 'branch':
      return operation.width === 64 ? 'base64' : 'base32';
    case 'load':
      return operation.size === 8 || (operation.signed && operation.size === 4) ? 'base64' : 'base32';
    case 'store':
      return operation.size === 8 ? 'base64' : 'base32';
    case 'lddw':
      return 'base64';
    case 'atomic':
      return operation.size === 8 ? 'atomic64' : 'atomic32';
    case 'load-packet':
      return 'packet';
    case 'call-register':
      return 'callx';
    case 'load-acquire':
    case 'store-release':
    case 'may-goto':
    case 'addr-space-cast':
    case 'jump-indirect':
      return 'linux';
    default:
      return 'base32';
  }
}

function versionOf(operation: Operation): CpuVersion {
  switch (operation.kind) {
    case 'alu':
      return operation.op === 'sdiv' || operation.op === 'smod' ? 4 : 1;
    case 'branch':
      if (operation.width === 32) return 3;
      return ['lt', 'le', 'slt', 'sle'].includes(operation.op) ? 2 : 1;
    case 'atomic':
      return operation.op === 'add' && !operation.fetch ? 1 : 3;
    case 'load':
      return operation.signed ? 4 : 1;
    case 'endian':
      return operation.op === 'bswap' ? 4 : 1;
    case 'jump':
      return operation.long ? 4 : 1;
    case 'movsx':
    case 'load-acquire':
    case 'store-release':
    case 'may-goto':
    case 'addr-space-cast':
    case 'jump-indirect':
      return 4;
    default:
      return 1;
  }
}
