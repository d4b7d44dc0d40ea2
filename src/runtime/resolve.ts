/** ProgramSpec -> ResolvedProgram: every reference becomes an address, a table index or a number of this runtime. */

import { helperNameIn, helperOf } from '../abi/context-access.ts';
import { enginesExpand, helperBody } from '../abi/helpers/index.ts';
import { kfuncBody, kfuncs as runnableKfuncs } from '../abi/kfuncs.ts';
import { refusedHelpers } from '../abi/parity.ts';
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import type { HelperPrototype } from '../abi/prototype.ts';
import { bindKfunc } from '../abi/stability/shims.ts';
import { InputError, InternalError, UnsupportedError } from '../errors.ts';
import type { Insn } from '../isa/insn.ts';
import {
  isPoisonedHelper,
  type JumpTable,
  type MapFacts,
  POISONED_KFUNC_CALL,
  type ResolvedProgram,
  type ValueFacts,
} from '../object/resolved.ts';
import type { AllocatorPart, ProgramSpec, Reference } from '../object/spec.ts';
import { MAP_TAG_ELEM, MAP_TAG_KPTR } from '../plane/layout/map.ts';

/** A created map as programs refer to it. */
export interface MapAddress {
  readonly facts: MapFacts;
  /** Address and size in bytes of the first value, for direct references into it. */
  readonly values: number;
  readonly valuesSize: number;
  /** BPF_F_RDONLY_PROG. */
  readonly readOnly: boolean;
  /** Address of the record of its values, if they have special fields (plane/layout/record.ts). */
  readonly record?: number;
  /** Slots of `program` that an instruction array holds. */
  readonly jumpTable?: { readonly program: string; readonly slots: readonly number[] };
}

export interface ResolveContext {
  readonly maps: ReadonlyMap<string, MapAddress>;
  readonly declaration: ProgramDeclaration;
  /** Names of plane exports: which helpers there are. */
  readonly exports: ReadonlySet<string>;
}

const CALL = 0x85;

const allocatorTag: Readonly<Record<AllocatorPart, number>> = { elem: MAP_TAG_ELEM, kptr: MAP_TAG_KPTR };

/**
 * `insns` are the program's instructions with CO-RE applied. Throws UnsupportedError, by name, for a helper, kfunc or kernel
 * symbol that this target does not have; InputError `SLUICE_PROGRAM_REFUSED` for a helper that Linux refuses to the program type,
 * `SLUICE_KFUNC_CHANGED` for a kfunc that the object declares otherwise than it is, and was.
 */
export function resolveProgram(program: ProgramSpec, insns: readonly Insn[], context: ResolveContext): ResolvedProgram {
  const resolved = insns.slice();
  const mapsAt = new Map<number, MapFacts>();
  const valuesAt = new Map<number, ValueFacts>();
  const jumpTables = new Map<string, JumpTable>();
  const kfuncs: string[] = [];

  const constant = (slot: number, value: number) => {
    resolved[slot] = { ...resolved[slot]!, src: 0, imm: value | 0 };
    resolved[slot + 1] = { ...resolved[slot + 1]!, imm: 0 };
  };
  const map = (name: string) => {
    const found = context.maps.get(name);
    if (found === undefined) throw new InternalError(`map ${name} of program ${program.name} was not created`);
    return found;
  };

  for (const [slot, reference] of program.references) {
    switch (reference.kind) {
      case 'map': {
        const { facts } = map(reference.map);
        constant(slot, facts.address);
        mapsAt.set(slot, facts);
        break;
      }
      case 'map-allocator':
        constant(slot, map(reference.map).facts.address + allocatorTag[reference.part]);
        break;
      case 'map-value':
      case 'kconfig': {
        const name = reference.kind === 'kconfig' ? '.kconfig' : reference.map;
        const { facts, values, valuesSize, readOnly, record, jumpTable } = map(name);
        const arena = facts.type === 'arena' ? { arena: facts.address } : undefined;
        const address = values + reference.offset;
        constant(slot, address);
        const fields = record === undefined ? undefined : { record };
        valuesAt.set(slot, { map: name, address, base: values, size: valuesSize, readOnly, ...arena, ...fields });
        if (jumpTable !== undefined) jumpTables.set(name, { address: values, slots: jumpTable.slots });
        break;
      }
      case 'function':
      case 'call':
      case 'trait':
        break; // linked by the object reader, keys written by load.ts
      case 'kfunc': {
        const insn = resolved[slot]!;
        const binding = bindKfunc(reference.name, reference.shape);
        if (binding.kind === 'changed' && !reference.weak) throw changedKfunc(program, reference, binding.shape);
        const name = binding.kind === 'bound' ? binding.name : '';
        const body = kfuncBody(name, context.declaration.type);
        const runnable = runnableKfuncs.get(name);
        if (runnable !== undefined && (runnable.engine === true || context.exports.has(body))) {
          const known = kfuncs.indexOf(body);
          resolved[slot] = { ...insn, src: 2, imm: known < 0 ? kfuncs.push(body) - 1 : known };
        } else if (reference.weak) {
          resolved[slot] = { ...insn, src: 0, off: 0, imm: POISONED_KFUNC_CALL };
        } else {
          throw new UnsupportedError(
            `kfunc ${reference.name}`,
            `program ${program.name} calls kfunc ${reference.name}, which the user-space target does not have`,
          );
        }
        break;
      }
      case 'ksym': {
        // Of a kfunc it is asked whether it is there; its address is nothing that a program could use.
        const runnable = runnableKfuncs.get(reference.name);
        if (runnable !== undefined && context.exports.has(kfuncBody(reference.name, context.declaration.type))) {
          constant(slot, 1);
          break;
        }
        if (!reference.weak) {
          throw new UnsupportedError(
            `ksym ${reference.name}`,
            `program ${program.name} refers to the kernel symbol ${reference.name}, which the user-space target does not have`,
          );
        }
        constant(slot, 0);
        break;
      }
      default:
        reference satisfies never;
    }
  }
  return {
    name: program.name,
    type: context.declaration.type,
    insns: resolved,
    functions: program.functions,
    mapsAt,
    valuesAt,
    jumpTables: [...jumpTables.values()],
    helpers: calledHelpers(program, resolved, context),
    kfuncs,
    lines: program.lines,
  };
}

/** As libbpf: an object that declares a function otherwise than it is would pass it the wrong arguments. */
function changedKfunc(
  program: ProgramSpec,
  { name, shape }: Extract<Reference, { kind: 'kfunc' }>,
  current: string,
): InputError {
  return new InputError(
    'SLUICE_KFUNC_CHANGED',
    `program ${program.name} calls kfunc ${name} as ${shape}, and here it is ${current} (i: number, p: pointer, v: nothing; the result first): build the object against this version's headers, or declare the function __weak and do without it`,
  );
}

/** True if a call of the helper can run: the plane has its body, or the engines expand it. */
export function isRunnable(prototype: HelperPrototype, exports: ReadonlySet<string>): boolean {
  return exports.has(helperBody(prototype)) || enginesExpand.has(prototype.name);
}

/** Why a helper is refused, for messages. */
export function reasonAgainst(name: string): string {
  return refusedHelpers[name.slice('bpf_'.length)] ?? 'it is not there yet';
}

function calledHelpers(
  program: ProgramSpec,
  insns: readonly Insn[],
  { declaration, exports }: ResolveContext,
): ReadonlyMap<number, HelperPrototype> {
  const called = new Map<number, HelperPrototype>();
  for (const [slot, insn] of insns.entries()) {
    if (insn.opcode !== CALL || insn.src !== 0 || isPoisonedHelper(insn.imm)) continue;
    const name = helperNameIn(declaration, insn.imm);
    const place = `program ${program.name}: insn ${slot}`;
    if (name === undefined) {
      throw new InputError('SLUICE_PROGRAM_REFUSED', `${place}: invalid func unknown#${insn.imm}`);
    }
    const prototype = helperOf(declaration, insn.imm, program.attachType ?? declaration.defaultAttachType);
    if (prototype === undefined) {
      const problem = `program of this type cannot use helper ${name}#${insn.imm}`;
      throw new InputError('SLUICE_PROGRAM_REFUSED', `${place}: ${problem} (${declaration.type})`);
    }
    if (!isRunnable(prototype, exports)) {
      throw new UnsupportedError(
        `helper ${name}`,
        `${place} calls helper ${name}, which the user-space target does not have: ${reasonAgainst(name)}; \`sluice features\` lists those that it has`,
      );
    }
    called.set(insn.imm, prototype);
  }
  return called;
}
