/** A program in the linear memory, as the stepping core runs it: IMAGE_* header, instructions, functions, helpers, context, regions. */
import { mapTypes } from '../abi/map-types.ts';
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import { arenaOf, type ResolvedProgram } from '../object/resolved.ts';
import {
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY_PROG,
  MAP_CPU_STRIDE,
  MAP_FLAGS,
  MAP_MAX_ENTRIES,
  MAP_RECORD,
  MAP_STRIDE,
  MAP_TYPE,
  MAP_VALUE_SIZE,
  MAP_VALUES,
} from '../plane/layout/map.ts';
import { ARENA_PAGE } from '../plane/layout/map-arena.ts';
import { ROOT, ROOT_CPU_COUNT } from '../plane/layout/memory.ts';
import { type CallRules, writeRules } from './call-rules.ts';
import * as layout from './layout.ts';
import { globalTag, predecode } from './predecode.ts';

export type Context = ProgramDeclaration['context'];

/** A helper or kfunc with its place in the shared table. */
export interface BoundFunction {
  readonly rules: CallRules;
  readonly index: number;
  /** Of a call whose arguments the loader passes: ResolvedProgram.passed. */
  readonly passed?: ReadonlyMap<number, bigint>;
}

/** What an image is made from besides the program. */
export interface ImageParts {
  readonly context: Context | undefined;
  readonly helpers: ReadonlyMap<number, BoundFunction>;
  /** By index into the program's `kfuncs`. */
  readonly kfuncs: readonly BoundFunction[];
  /** Packet pointers of this program type may only be read through. */
  readonly readOnlyPacket: boolean;
}

export interface Image {
  readonly program: ResolvedProgram;
  readonly context: Context | undefined;
  readonly address: number;
  readonly size: number;
  /** What is wrong with the instruction at a slot, where it is none. */
  readonly problems: ReadonlyMap<number, string>;
}

interface Region {
  readonly tag: number;
  readonly base: number;
  readonly extent: number;
  readonly stride: number;
  readonly element: number;
  readonly aux: number;
}

/**
 * Writes the image of a program. Only the first `view` call is made before `allocate`, which may grow the memory.
 * @param allocate address of so many zeroed bytes, aligned to 16.
 */
export function writeImage(
  program: ResolvedProgram,
  parts: ImageParts,
  allocate: (bytes: number) => number,
  view: () => DataView,
): Image {
  const slots = program.insns.length;
  const regions = regionsOf(program, view());
  const contextSize = parts.context?.size ?? 0;
  // A call that the loader passes something to has a record of its own.
  const own = new Map<number, BoundFunction>();
  for (const [slot, passed] of program.passed ?? []) {
    const kfunc = parts.kfuncs[program.insns[slot]!.imm];
    if (kfunc !== undefined) own.set(slot, { ...kfunc, rules: withPassed(kfunc.rules, passed), passed });
  }
  const bound = [...parts.helpers.values(), ...parts.kfuncs, ...own.values()];

  // Offsets of the parts, each aligned to 16.
  let size = layout.IMAGE_HEADER_SIZE;
  const place = (bytes: number) => {
    const at = size;
    size = (size + bytes + 15) & ~15;
    return at;
  };
  const code = place(slots * layout.INSN_SIZE);
  const functions = place(program.functions.length * 8);
  const targets = place(slots);
  const originals = place(slots * 2);
  const fields = place(contextSize);
  const regionRecords = place(regions.length * layout.REGION_SIZE);
  const helperRecords = place(bound.length * layout.HELPER_SIZE);

  const address = allocate(size);
  const recordOf = (fn: BoundFunction | undefined) =>
    fn === undefined ? undefined : address + helperRecords + bound.indexOf(fn) * layout.HELPER_SIZE;
  const predecoded = predecode(program, {
    helper: (id) => recordOf(parts.helpers.get(id)),
    kfunc: (index, slot) => recordOf(own.get(slot) ?? parts.kfuncs[index]),
  });

  const memory = view();
  const bytes = new Uint8Array(memory.buffer);
  const header = (field: number, value: number) => memory.setUint32(address + field, value, true);
  header(layout.IMAGE_SLOTS, slots);
  header(layout.IMAGE_CODE, address + code);
  header(layout.IMAGE_FUNCTIONS, address + functions);
  header(layout.IMAGE_FUNCTION_COUNT, program.functions.length);
  header(layout.IMAGE_TARGETS, address + targets);
  header(layout.IMAGE_ORIGINALS, address + originals);
  header(layout.IMAGE_REGIONS, address + regionRecords);
  header(layout.IMAGE_REGION_COUNT, regions.length);
  header(layout.IMAGE_FIELDS, address + fields);
  header(layout.IMAGE_CONTEXT_SIZE, contextSize);
  header(layout.IMAGE_DATA, fieldOffset(parts.context, 'packet'));
  header(layout.IMAGE_DATA_END, fieldOffset(parts.context, 'packet_end'));
  header(layout.IMAGE_DATA_META, fieldOffset(parts.context, 'packet_meta'));
  header(layout.IMAGE_HELPERS, address + helperRecords);
  header(layout.IMAGE_HELPER_COUNT, parts.helpers.size);
  header(layout.IMAGE_ARENA, arenaOf(program) ?? 0);
  const exceptionCallback = program.functions.findIndex((fn) => fn.exceptionCallback === true);
  header(layout.IMAGE_EXCEPTION_CALLBACK, exceptionCallback < 0 ? layout.NO_FIELD : exceptionCallback);
  header(layout.IMAGE_PACKET_FLAGS, parts.readOnlyPacket ? layout.TAG_READ_ONLY : 0);

  bytes.set(predecoded.code, address + code);
  for (const [at, fn] of program.functions.entries()) {
    memory.setUint32(address + functions + at * 8, fn.start, true);
    memory.setUint32(address + functions + at * 8 + 4, fn.length, true);
  }
  for (const table of program.jumpTables)
    for (const slot of table.slots) if (slot >= 0 && slot < slots) bytes[address + targets + slot] = 1;
  for (let slot = 0; slot < slots; slot++) {
    const op = memory.getUint16(address + code + slot * layout.INSN_SIZE, true);
    memory.setUint16(address + originals + slot * 2, op, true);
  }
  if (parts.context !== undefined) bytes.set(fieldBytes(parts.context), address + fields);
  for (const [at, region] of regions.entries()) {
    const record = address + regionRecords + at * layout.REGION_SIZE;
    memory.setUint32(record + layout.REGION_TAG, region.tag, true);
    memory.setUint32(record + layout.REGION_BASE, region.base, true);
    memory.setUint32(record + layout.REGION_EXTENT, region.extent, true);
    memory.setUint32(record + layout.REGION_STRIDE, region.stride, true);
    memory.setUint32(record + layout.REGION_ELEMENT, region.element, true);
    memory.setUint32(record + layout.REGION_AUX, region.aux, true);
  }
  for (const [at, fn] of bound.entries())
    writeRules(memory, address + helperRecords + at * layout.HELPER_SIZE, fn.rules, fn.index, fn.passed);
  return { program, context: parts.context, address, size, problems: predecoded.problems };
}

/** What is passed behind the arguments that the prototype has: nobody looks at it. */
function withPassed(rules: CallRules, passed: ReadonlyMap<number, bigint>): CallRules {
  const args = rules.args.slice();
  while (args.length < Math.max(...passed.keys())) args.push({ kind: layout.ARGUMENT_DONTCARE, size: 0 });
  return { ...rules, args };
}

function fieldOffset(context: Context | undefined, kind: 'packet' | 'packet_end' | 'packet_meta'): number {
  return context?.fields.find((field) => field.kind === kind)?.offset ?? layout.NO_FIELD;
}

const fieldKinds: Readonly<Record<Context['fields'][number]['kind'], number>> = {
  scalar: layout.FIELD_SCALAR,
  packet: layout.FIELD_PACKET,
  packet_end: layout.FIELD_PACKET,
  packet_meta: layout.FIELD_METADATA,
  socket: layout.FIELD_SOCKET,
  socket_or_null: layout.FIELD_SOCKET,
  sock_common_or_null: layout.FIELD_SOCKET,
  flow_keys: layout.FIELD_FLOW_KEYS,
  tp_buffer: layout.FIELD_OPAQUE,
  btf_id: layout.FIELD_OPAQUE,
};

/** One byte a context byte: which field it belongs to, and what may be done with it. An access lies in one element of a field. */
function fieldBytes(context: Context): Uint8Array {
  const bytes = new Uint8Array(context.size);
  for (const field of context.fields) {
    const value = fieldKinds[field.kind] | (field.write ? layout.FIELD_WRITABLE : 0);
    bytes.fill(value, field.offset, field.offset + field.size);
    // Wider accesses than an element, where the field has them, may go over several.
    const element = Math.max(field.element ?? field.size, ...(field.loads ?? []));
    for (let at = field.offset; at < field.offset + field.size; at += element) bytes[at]! |= layout.FIELD_FIRST;
  }
  for (const field of context.fields) {
    // A load wider than its field reads the padding behind it.
    const widest = Math.max(field.size, ...(field.loads ?? []));
    for (let at = field.offset + field.size; at < field.offset + widest; at++)
      bytes[at] = bytes[at] === 0 ? fieldKinds[field.kind] : bytes[at]! & ~layout.FIELD_FIRST;
  }
  return bytes;
}

/** Objects with fixed addresses that the program names: where a pointer without provenance may point. */
function regionsOf(program: ResolvedProgram, view: DataView): Region[] {
  const regions: Region[] = [];
  const seen = new Set<number>();
  const add = (region: Region) => {
    if (region.base !== 0 && !seen.has(region.base)) regions.push(region);
    seen.add(region.base);
  };
  for (const value of program.valuesAt.values()) {
    const tag = globalTag(value);
    add({ tag, base: value.base, extent: value.size, stride: 0, element: value.size, aux: value.record ?? 0 });
  }
  for (const table of program.jumpTables) {
    const extent = table.slots.length * 8;
    const tag = layout.KIND_GLOBAL | layout.TAG_READ_ONLY;
    add({ tag, base: table.address, extent, stride: 0, element: extent, aux: 0 });
  }
  const arena = arenaOf(program);
  if (arena !== undefined) {
    const extent = view.getUint32(arena + MAP_MAX_ENTRIES, true) * ARENA_PAGE;
    const base = view.getUint32(arena + MAP_VALUES, true);
    regions.push({ tag: layout.KIND_ARENA, base, extent, stride: 0, element: extent, aux: arena });
  }
  for (const { address } of program.mapsAt.values()) {
    const type = view.getUint32(address + MAP_TYPE, true);
    if (type !== mapTypes.array && type !== mapTypes.percpu_array) continue;
    const perCpu = type === mapTypes.percpu_array;
    const cpus = perCpu ? view.getUint32(ROOT + ROOT_CPU_COUNT, true) : 1;
    const cpuStride = perCpu ? view.getUint32(address + MAP_CPU_STRIDE, true) : 0;
    const stride = view.getUint32(address + MAP_STRIDE, true);
    const flags = view.getUint32(address + MAP_FLAGS, true);
    const tag =
      layout.KIND_MAP_VALUE |
      ((flags & BPF_F_RDONLY_PROG) !== 0 ? layout.TAG_READ_ONLY : 0) |
      ((flags & BPF_F_WRONLY_PROG) !== 0 ? layout.TAG_WRITE_ONLY : 0) |
      (view.getUint32(address + MAP_RECORD, true) !== 0 ? layout.TAG_FIELDS : 0);
    const extent = stride * view.getUint32(address + MAP_MAX_ENTRIES, true);
    const element = view.getUint32(address + MAP_VALUE_SIZE, true);
    for (let cpu = 0; cpu < cpus; cpu++)
      add({
        tag,
        base: view.getUint32(address + MAP_VALUES, true) + cpu * cpuStride,
        extent,
        stride,
        element,
        aux: address,
      });
  }
  return regions;
}
