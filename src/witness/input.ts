/** An input of one run: packet, context and contents of maps, and how to change it in one place. */
import type { ProgramTypeName } from '../abi/program-types.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import type { MapSpec } from '../object/spec.ts';
import type { RunInput, TargetMap } from '../runtime/handles.ts';
import type { UserObject } from '../runtime/load.ts';
import { type Origin, solve } from './origin.ts';

/** Never changed once it is made. */
export interface TrialInput {
  readonly data: Uint8Array | undefined;
  readonly context: Uint8Array | undefined;
  /** Values by hex of the key, by map. */
  readonly maps: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;
}

const MIN_PACKET = 14;
const MAX_PACKET = 3000;

/** struct xdp_md of a test run. */
const XDP = { dataEnd: 4, ingressIfindex: 12, rxQueueIndex: 16 };
const OTHER_DEVICE = 2;

/** What the hook takes: fields of the context that follow from others are filled in. */
export function runInput({ data, context }: TrialInput, type: ProgramTypeName | undefined): RunInput {
  return {
    ...(data === undefined ? {} : { data }),
    ...(context === undefined ? {} : { context: type === 'xdp' ? xdpContext(context, data) : context }),
  };
}

/** data_end is the length of the packet; only another device than loopback has more than one queue. */
function xdpContext(given: Uint8Array, data: Uint8Array | undefined): Uint8Array {
  const context = given.slice();
  const view = new DataView(context.buffer);
  view.setUint32(XDP.dataEnd, data?.length ?? 0, true);
  if (view.getUint32(XDP.rxQueueIndex, true) !== 0 && view.getUint32(XDP.ingressIfindex, true) < OTHER_DEVICE)
    view.setUint32(XDP.ingressIfindex, OTHER_DEVICE, true);
  return context;
}

/** Bytes of the context that are numbers, as [first, one past the last]; what the caller may not set, the hook refuses. */
export function contextNumbers(type: ProgramTypeName | undefined): readonly (readonly [number, number])[] {
  const fields = (type === undefined ? undefined : programDeclarations.get(type))?.context.fields ?? [];
  return fields.filter(({ kind }) => kind === 'scalar').map(({ offset, size }) => [offset, offset + size]);
}

/** Size of the context that a caller may give; 0 for types without a struct. */
export function contextSize(type: ProgramTypeName | undefined): number {
  if (type === 'raw_tracepoint') return 96;
  if (type === 'syscall') return 1024;
  return (type === undefined ? undefined : programDeclarations.get(type))?.context.size ?? 0;
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The input with `value` in the place; undefined where it has no such place. */
export function changed(
  input: TrialInput,
  source: Origin['source'],
  value: bigint,
  specs: ReadonlyMap<string, MapSpec>,
  type: ProgramTypeName | undefined,
): TrialInput | undefined {
  switch (source.kind) {
    case 'data':
    case 'context': {
      const bytes = source.kind === 'data' ? input.data : (input.context ?? new Uint8Array(contextSize(type)));
      if (bytes === undefined || source.offset < 0 || source.offset + source.size > bytes.length) return undefined;
      const copy = write(bytes, source.offset, source.size, value);
      return source.kind === 'data' ? { ...input, data: copy } : { ...input, context: copy };
    }
    case 'length':
      return value < 0n || value > BigInt(MAX_PACKET) ? undefined : resized(input, Number(value));
    case 'map': {
      const size = valueBytes(specs.get(source.map));
      if (size === undefined || source.offset < 0 || source.offset + source.size > size) return undefined;
      const old = input.maps[source.map]?.[source.key] ?? initial(specs.get(source.map)!, size);
      return withValue(input, source.map, source.key, write(old, source.offset, source.size, value));
    }
    case 'presence': {
      const spec = specs.get(source.map);
      const size = valueBytes(spec);
      if (size === undefined) return undefined;
      if (!/hash/.test(spec!.type)) {
        // An array has all its keys and no other: the key itself must be another.
        const wanted = value === 0n ? BigInt(spec!.maxEntries) : 0n;
        const number = source.by === undefined ? undefined : solve(source.by, wanted);
        return number === undefined ? undefined : changed(input, source.by!.source, number, specs, type);
      }
      if (value !== 0n) return withValue(input, source.map, source.key, new Uint8Array(size));
      const { [source.key]: _, ...rest } = input.maps[source.map] ?? {};
      return { ...input, maps: { ...input.maps, [source.map]: rest } };
    }
  }
}

/** The packet cut or continued with zeros; undefined for lengths that hooks refuse. */
export function resized(input: TrialInput, length: number): TrialInput | undefined {
  if (input.data === undefined || length < MIN_PACKET || length > MAX_PACKET) return undefined;
  const data = new Uint8Array(length);
  data.set(input.data.subarray(0, length));
  return { ...input, data };
}

/** Maps whose contents belong to the input; read-only data does not. */
function valueBytes(spec: MapSpec | undefined): number | undefined {
  if (spec === undefined || spec.name.startsWith('.rodata') || spec.name === '.kconfig') return undefined;
  if (!/^(array|hash|lru_hash)$/.test(spec.type)) return undefined;
  return spec.valueSize;
}

function initial(spec: MapSpec, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  if (spec.contents.kind === 'bytes') bytes.set(spec.contents.bytes.subarray(0, size));
  return bytes;
}

function withValue(input: TrialInput, map: string, key: string, value: Uint8Array): TrialInput {
  return { ...input, maps: { ...input.maps, [map]: { ...input.maps[map], [key]: value } } };
}

function write(bytes: Uint8Array, offset: number, size: number, value: bigint): Uint8Array {
  const copy = bytes.slice();
  for (let i = 0; i < size; i++) copy[offset + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return copy;
}

/** Gives the maps that belong to inputs the contents of this one. Throws InputError for keys or values that a map does not take. */
export function fill(loaded: UserObject, input: TrialInput): void {
  for (const { raw, spec } of Object.values(loaded.maps)) {
    const size = valueBytes(spec);
    if (size === undefined) continue;
    const wanted = input.maps[spec.name] ?? {};
    empty(raw, spec, size);
    for (const [key, value] of Object.entries(wanted)) raw.update(fromHex(key), value);
  }
}

const MAX_CLEARED = 1024;

function empty(raw: Pick<TargetMap, 'nextKey' | 'delete' | 'update'>, spec: MapSpec, size: number): void {
  if (spec.type === 'array') {
    const value = initial(spec, size);
    for (let i = 0; i < Math.min(spec.maxEntries, MAX_CLEARED); i++) {
      const key = new Uint8Array(4);
      new DataView(key.buffer).setUint32(0, i, true);
      raw.update(key, value);
    }
    return;
  }
  for (let key = raw.nextKey(); key !== undefined; key = raw.nextKey()) raw.delete(key);
}
