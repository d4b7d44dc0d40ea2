/** What the interpreter's tests share: an interpreter over a fresh memory with the plane, and programs made by hand. */

import wabtModule from 'wabt';
import type { ArgType, HelperPrototype, ReturnType } from '../src/abi/prototype.ts';
import { Interpreter } from '../src/interpreter/index.ts';
import { functionsOf } from '../src/isa/functions.ts';
import type { Insn } from '../src/isa/insn.ts';
import type { ResolvedProgram } from '../src/object/resolved.ts';
import { MAP_VALUE_SIZE } from '../src/plane/layout/map.ts';
import * as layout from '../src/plane/layout/record.ts';
import { createMemory } from '../src/runtime/memory.ts';
import { createPlane, type PlaneInstance } from '../src/runtime/plane.ts';

const wabt = await wabtModule();

/** @param bodies WebAssembly text of more helpers: fields of a module over the shared memory. */
export function newInterpreter(bodies = '') {
  const memory = createMemory(1, 1n);
  const plane = createPlane(memory, { hashSeed: 1n });
  const text = `(module (import "env" "memory" (memory 1 65536 shared)) (import "env" "table" (table 1 funcref)) ${bodies})`;
  const bytes = wabt.parseWat('helpers.wat', text, { threads: true }).toBinary({}).buffer;
  const extra = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes)), {
    env: { memory, table: plane.table },
  });
  const allocate = (bytes: number) => plane.exports.pages_alloc(Math.ceil(bytes / 65536)) >>> 0;
  const host = {
    memory,
    table: plane.table,
    worker: plane.worker,
    functions: { ...plane.exports, ...extra.exports },
    allocate,
    free: (address: number, bytes: number) => plane.exports.pages_free(address, Math.ceil(bytes / 65536)),
  };
  const arena = allocate(1 << 21);
  let used = 0;
  /** Address of so many bytes that are never given back, aligned to 16. */
  function space(bytes: number): number {
    const address = arena + used;
    used = (used + bytes + 31) & ~15;
    return address;
  }
  return {
    host,
    plane,
    interpreter: new Interpreter(host),
    space,
    /** Puts bytes into memory that is never given back; returns their address, aligned to 16. */
    write(bytes: Uint8Array): number {
      const address = space(bytes.length);
      plane.bytes().set(bytes, address);
      return address;
    },
  };
}

/** A program of these instructions alone; `functions` are found from its calls unless given. */
export function emptyProgram(
  name: string,
  insns: readonly Insn[],
  parts: Omit<Partial<ResolvedProgram>, 'functions'> & {
    readonly functions?: readonly { readonly name: string; readonly start: number; readonly length: number }[];
  } = {},
): ResolvedProgram {
  const functions =
    parts.functions ??
    functionsOf(insns).map((range) => ({ name: range.start === 0 ? name : `sub_${range.start}`, ...range }));
  return {
    name,
    type: undefined,
    insns,
    mapsAt: new Map(),
    valuesAt: new Map(),
    jumpTables: [],
    helpers: new Map(),
    kfuncs: [],
    lines: [],
    ...parts,
    functions: functions.map((fn) => ({ linkage: 'static', btfId: undefined, callback: false, ...fn })),
  };
}

/** Of `known`, those that the instructions call. */
export function calledHelpers(
  insns: readonly Insn[],
  known: ReadonlyMap<number, HelperPrototype>,
): ReadonlyMap<number, HelperPrototype> {
  const calls = insns.filter((insn) => insn.opcode === 0x85 && insn.src === 0);
  return new Map([...known].filter(([id]) => calls.some((insn) => insn.imm === id)));
}

/** A helper's prototype for tests. */
export function prototype(name: string, args: readonly ArgType[], returns: ReturnType, id: number): HelperPrototype {
  const stability = { level: 'experimental', since: '0.1.0' } as const;
  return {
    id,
    name,
    args,
    returns,
    gplOnly: false,
    changesPacketData: false,
    packetAccess: true,
    sleepable: false,
    fastcall: false,
    acquires: false,
    stability,
  };
}

interface Bed {
  readonly plane: PlaneInstance;
  space(bytes: number): number;
}

export interface RecordField {
  /** FIELD_ kind. */
  readonly kind: number;
  readonly offset: number;
  readonly size: number;
  readonly target?: number;
  readonly node?: number;
}

/** Address of a record of a type (plane/layout/record.ts) in a set of its own. */
export function makeRecord({ plane, space }: Bed, size: number, fields: readonly RecordField[]): number {
  const set = space(16);
  const record = space(layout.RECORD_FIELDS + fields.length * layout.FIELD_BYTES);
  const put = (at: number, value: number) => plane.view().setUint32(at, value, true);
  put(set + layout.SET_REFERENCES, 1);
  put(record + layout.RECORD_SIZE, size);
  put(record + layout.RECORD_BYTES, size);
  put(record + layout.RECORD_SET, set);
  put(record + layout.RECORD_COUNT, fields.length);
  for (const [i, field] of fields.entries()) {
    const at = record + layout.RECORD_FIELDS + i * layout.FIELD_BYTES;
    put(at + layout.FIELD_KIND, field.kind);
    put(at + layout.FIELD_OFFSET, field.offset);
    put(at + layout.FIELD_SIZE, field.size);
    put(at + layout.FIELD_TARGET, field.target ?? 0);
    put(at + layout.FIELD_NODE, field.node ?? 0);
  }
  return record;
}

/** Gives the values of a map special fields. */
export function giveRecord(bed: Bed, map: number, fields: readonly RecordField[]): void {
  const size = bed.plane.view().getUint32(map + MAP_VALUE_SIZE, true);
  bed.plane.exports.map_set_record(map, makeRecord(bed, size, fields));
}
