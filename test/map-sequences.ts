/**
 * Long seeded sequences of operations on one map, from user space and from a program, here and in the kernel: every result is compared as it
 * comes. The program is one XDP program that runs the operations it finds in its packet (`sequenceSource`).
 */
import type { MapTypeName } from '../src/abi/map-types.ts';
import { mapTypes } from '../src/abi/map-types.ts';
import type {
  LoadedObject,
  MapHandle,
  RingbufHandle,
  TargetMap,
  TargetName,
  UpdateMode,
  UserRingbufHandle,
} from '../src/runtime/handles.ts';
import { compileBpf, prelude } from './clang.ts';
import { attempt, hex, keysOf } from './map-operations.ts';

/** Operations of one run of the program. */
const RUN = 32;

export interface SequenceCase {
  readonly title: string;
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags?: number;
  /** Number of distinct keys. */
  readonly keys: number;
  /** Key by number; default: the number, little-endian, in the first and last bytes. */
  key?(n: number, random: () => number): Uint8Array;
  /** Value that user space or a program writes; default random. */
  value?(random: () => number, target: TargetName): Uint8Array;
  /** Order of keys is compared too. */
  readonly ordered?: boolean;
  /** Of maps of maps: the maps that they may hold; by bytes an element is a descriptor or an id, so only which one a program finds is compared. */
  readonly inner?: number;
  /** What a program may do; default all of a table: lookup, update, delete. */
  readonly program?: 'table' | 'fixed' | 'read' | 'redirect' | 'keyless' | 'bloom' | 'ring' | 'drain' | 'inner';
  /** Lookup-and-delete of user space. */
  readonly take?: boolean;
  /** Batches of user space. */
  readonly batch?: boolean;
}

/** Small and fast, and the same everywhere: mulberry32. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  };
}

const pad = (size: number) => (size + 7) & ~7;

function bodyOf(kind: SequenceCase['program']): string {
  const table = `
    case 0: { u8 *v = bpf_map_lookup_elem(&map, op->key); op->result = v != 0; if (v) __builtin_memcpy(op->value, v, VALUE); break; }`;
  const writes = `
    case 1: op->result = update(&map, op->key, op->value, op->flags); break;
    case 2: { u8 *v = bpf_map_lookup_elem(&map, op->key); op->result = v != 0; if (v) v[0] += op->flags; break; }`;
  const removes = `
    case 3: op->result = delete(&map, op->key); break;`;
  if (kind === 'table') return table + writes + removes;
  if (kind === 'fixed') return table + writes;
  if (kind === 'read') return table;
  if (kind === 'redirect')
    return `
    case 0: op->result = redirect(&map, *(u32 *)op->key, op->flags); break;`;
  if (kind === 'inner')
    return `
    case 0: {
      u32 zero = 0; void *inner = bpf_map_lookup_elem(&map, op->key);
      if (!inner) { op->result = -1; break; }
      u64 *v = bpf_map_lookup_elem(inner, &zero);
      op->result = v ? (s64)(*v)++ : -2;
      break;
    }`;
  if (kind === 'keyless')
    return `
    case 0: { u8 v[VALUE] = {}; op->result = peek(&map, v); __builtin_memcpy(op->value, v, VALUE); break; }
    case 1: op->result = push(&map, op->value, op->flags); break;
    case 2: { u8 v[VALUE] = {}; op->result = pop(&map, v); __builtin_memcpy(op->value, v, VALUE); break; }`;
  if (kind === 'bloom')
    return `
    case 0: { u8 v[VALUE]; __builtin_memcpy(v, op->value, VALUE); op->result = peek(&map, v); break; }
    case 1: op->result = push(&map, op->value, op->flags); break;`;
  if (kind === 'ring')
    return `
    case 0: { u64 *r = reserve(&map, 24, 0); op->result = r != 0; if (r) { r[0] = op->flags; r[1] = 1; r[2] = 2; submit(r, op->flags & 3); } break; }
    case 1: { u64 *r = reserve(&map, 8, 0); op->result = r != 0; if (r) { r[0] = 7; discard(r, op->flags & 3); } break; }
    case 2: { u8 v[16]; __builtin_memcpy(v, op->value, 16); op->result = output(&map, v, op->flags & 15, op->flags >> 4); break; }
    case 3: op->result = query(&map, op->flags & 7); break;
    case 4: op->result = reserve_none(&map); break;`;
  if (kind === 'drain')
    return `
    case 0: { struct sum sum = { .stop = op->flags & 7 }; op->result = drain(&map, add, &sum, op->flags >> 4); op->sum = sum.total; break; }`;
  return '';
}

export function sequenceSource({
  type,
  keySize,
  valueSize,
  maxEntries,
  flags = 0,
  program = 'table',
}: SequenceCase): string {
  const sizes =
    program === 'ring' || program === 'drain'
      ? ''
      : `__uint(key_size, ${keySize}); ${program === 'inner' ? '' : `__uint(value_size, ${valueSize});`}`;
  return `${prelude}
#define VALUE ${Math.max(1, valueSize)}
struct xdp_md { u32 data, data_end, data_meta, ifindex, queue, egress; };
struct bpf_dynptr { u64 opaque[2]; };
static long (*update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*delete)(void *map, const void *key) = (void *)3;
static long (*redirect)(void *map, u64 key, u64 flags) = (void *)51;
static long (*push)(void *map, const void *value, u64 flags) = (void *)87;
static long (*pop)(void *map, void *value) = (void *)88;
static long (*peek)(void *map, void *value) = (void *)89;
static long (*output)(void *map, void *data, u64 size, u64 flags) = (void *)130;
static void *(*reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*submit)(void *record, u64 flags) = (void *)132;
static void (*discard)(void *record, u64 flags) = (void *)133;
static u64 (*query)(void *map, u64 flags) = (void *)134;
static long (*dynptr_read)(void *to, u32 size, const struct bpf_dynptr *from, u32 offset, u64 flags) = (void *)201;
static long (*drain)(void *map, void *callback, void *ctx, u64 flags) = (void *)209;
struct inner { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, u64); };
struct { __uint(type, ${mapTypes[type]}); ${sizes} __uint(max_entries, ${maxEntries}); __uint(map_flags, ${flags}); ${program === 'inner' ? '__array(values, struct inner);' : ''} } map SEC(".maps");
struct op { u32 op, flags; s64 result; u64 sum; u8 key[${Math.max(8, pad(keySize))}]; u8 value[${Math.max(16, pad(valueSize))}]; };
struct run { struct xdp_md *ctx; };
struct sum { u64 total; u32 count, stop; };
static __attribute__((unused)) long add(struct bpf_dynptr *record, struct sum *sum) {
  u32 word = 0;
  sum->total = sum->total * 31 + (dynptr_read(&word, 4, record, 0, 0) ? 1000 : word);
  return sum->stop && ++sum->count == sum->stop;
}
static __attribute__((unused, always_inline)) long reserve_none(void *map) { u64 *r = reserve(map, 8, 1); if (r) { discard(r, 0); return 1; } return 0; }
static long step(u32 i, struct run *run) {
  void *data = (void *)(long)run->ctx->data, *end = (void *)(long)run->ctx->data_end;
  struct op *op = data + 16;
  if (i >= ${RUN}) return 1;
  op += i;
  if ((void *)(op + 1) > end) return 1;
  switch (op->op) {${bodyOf(program)}
  }
  return 0;
}
SEC("xdp") int sequence(struct xdp_md *ctx) { struct run run = { ctx }; bpf_loop(${RUN}, step, &run, 0); return 2; }
`;
}

export function compileSequence(each: SequenceCase): Uint8Array {
  return compileBpf(sequenceSource(each));
}

/** A program's run as bytes: `count` operations. */
function packetOf(each: SequenceCase, random: () => number, count: number): { packet: Uint8Array; size: number } {
  const keySpace = Math.max(8, pad(each.keySize));
  const size = 24 + keySpace + Math.max(16, pad(each.valueSize));
  const packet = new Uint8Array(16 + size * count);
  const view = new DataView(packet.buffer);
  const choices = { table: 4, fixed: 3, read: 1, redirect: 1, keyless: 3, bloom: 2, ring: 5, drain: 1, inner: 1 }[
    each.program ?? 'table'
  ];
  for (let i = 0; i < count; i++) {
    const at = 16 + i * size;
    const op = random() % choices;
    view.setUint32(at, op, true);
    view.setUint32(at + 4, flagsOf(each, op, random), true);
    if (each.keySize > 0) packet.set(keyOf(each, random), at + 24);
    if (each.valueSize > 0) packet.set(bytesOf(each, random, each.valueSize), at + 24 + keySpace);
  }
  return { packet, size };
}

function flagsOf({ program }: SequenceCase, op: number, random: () => number): number {
  // Some that are refused.
  if (program === 'ring') return op === 2 ? (random() % 16) | ((random() % 5) << 4) : random() % 5;
  if (program === 'drain') return (random() % 8) | ((random() % 16 === 0 ? random() % 8 : random() % 3) << 4);
  // Only the verdict that is returned without a target; the first bit above is refused.
  if (program === 'redirect') return random() % 6;
  if (program === 'keyless') return random() % 4 === 0 ? random() % 4 : 0;
  if (program === 'bloom') return random() % 16 === 0 ? 1 : 0;
  return random() % 2 === 0 ? 0 : random() % 4;
}

function keyOf(each: SequenceCase, random: () => number): Uint8Array {
  const n = random() % each.keys;
  if (each.key !== undefined) return each.key(n, random);
  const key = new Uint8Array(each.keySize);
  if (each.keySize === 0) return key;
  const view = new DataView(key.buffer);
  if (each.keySize === 4) view.setUint32(0, n, true);
  else {
    view.setUint16(0, n, true);
    view.setUint16(each.keySize - 2, view.getUint16(each.keySize - 2, true) ^ n, true);
  }
  return key;
}

function bytesOf(each: SequenceCase, random: () => number, size: number, target: TargetName = 'user'): Uint8Array {
  if (each.value !== undefined) return each.value(random, target);
  const value = new Uint8Array(size);
  for (let i = 0; i < size; i++) value[i] = random();
  return value;
}

const modes: readonly UpdateMode[] = ['any', 'any', 'any', 'noexist', 'exist', 'lock'];

/** One operation of user space, drawn once and done on both. */
function userOperation(each: SequenceCase, random: () => number): (map: MapHandle) => string {
  const choice = random() % 16;
  const ring = each.program === 'ring';
  if (ring || each.program === 'drain') {
    if (ring) {
      const limit = random() % 20;
      return (map) => {
        let text = '';
        const count = (map as RingbufHandle).consume((_, record) => (text += ` ${hex(record)}`), limit);
        return `consume ${count}${text}`;
      };
    }
    const length = random() % 5 === 0 ? random() % 600 : random() % 24;
    const bytes = Uint8Array.from({ length }, () => random());
    const drop = random() % 6 === 0;
    return (map) => {
      const user = map as UserRingbufHandle;
      if (!drop) return `push ${length} ${user.push(bytes)} ${user.available}`;
      const record = user.reserve(length);
      record?.discard();
      return `discard ${length} ${record !== undefined} ${user.available}`;
    };
  }
  if (each.program === 'bloom') {
    const value = bytesOf(each, random, each.valueSize);
    return (map) => `${attempt(() => String((map.raw as TargetMap).update(new Uint8Array(0), value)))}`;
  }
  const key = keyOf(each, random);
  const withMode = modes[random() % modes.length]!;
  const draw = random();
  if (choice < 6)
    return (map) => {
      const raw = map.raw as TargetMap;
      const value = bytesOf(each, generator(draw), raw.elementSize, map.target);
      return `update ${hex(key)} ${withMode} ${attempt(() => String(raw.update(key, value, withMode)))}`;
    };
  if (choice < 10) return (map) => `lookup ${hex(key)} ${attempt(() => text(each, map.raw.lookup(key)))}`;
  if (choice < 12) return (map) => `delete ${hex(key)} ${attempt(() => String(map.raw.delete(key)))}`;
  if (choice === 12 && each.take)
    return (map) => `take ${hex(key)} ${attempt(() => text(each, (map.raw as TargetMap).take(key)))}`;
  if (choice === 13 && each.ordered)
    return (map) => `next ${hex(key)} ${attempt(() => text(undefined, map.raw.nextKey(key)))}`;
  if (choice === 14 && each.batch && draw % 8 === 0) return batch(each, generator(draw));
  if (draw % 16 === 0) return (map) => contents(map, each);
  return (map) => `lookup ${hex(key)} ${attempt(() => text(each, map.raw.lookup(key)))}`;
}

/** Batches: of updates, of deletes, and a lookup of all that there is. */
function batch(each: SequenceCase, random: () => number): (map: MapHandle) => string {
  const kind = random() % 4;
  const count = 1 + (random() % 6);
  const keys = Buffer.concat(Array.from({ length: count }, () => keyOf(each, random)));
  const draw = random();
  return (map) => {
    const raw = map.raw as TargetMap;
    if (kind === 0) {
      const values = new Uint8Array(count * raw.elementSize);
      const next = generator(draw);
      for (let i = 0; i < values.length; i++) values[i] = next();
      return `update batch ${attempt(() => String(raw.updateBatch(keys, values)))}`;
    }
    if (kind === 1) return `delete batch ${attempt(() => String(raw.deleteBatch(keys)))}`;
    return `lookup batch ${kind} ${attempt(() => {
      const found: string[] = [];
      let position: Uint8Array | undefined;
      do {
        const part = raw.lookupBatch(each.keys + 8, position, kind === 3);
        for (let i = 0; i < part.count; i++)
          found.push(
            `${hex(part.keys.subarray(i * each.keySize, (i + 1) * each.keySize))}=${text(each, part.values.subarray(i * raw.elementSize, (i + 1) * raw.elementSize))}`,
          );
        position = part.position;
      } while (position !== undefined);
      return (each.ordered ? found : found.sort()).join(' ');
    })}`;
  };
}

/** Everything that is in the map. */
function contents(map: MapHandle, each: SequenceCase): string {
  return `contents ${attempt(() => {
    const all = keysOf(map.raw).map((key) => `${hex(key)}=${attempt(() => text(each, map.raw.lookup(key)))}`);
    return (each.ordered ? all : all.sort()).join(' ');
  })}`;
}

/** Bytes of a value; what lies between the values of two CPUs is nobody's: Linux shows what was there before. */
function text(each: SequenceCase | undefined, bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return 'none';
  if (each?.inner !== undefined) return 'some';
  const stride = pad(each?.valueSize ?? 0);
  if (each === undefined || bytes.length < 2 * stride || stride === 0) return hex(bytes);
  return hex(bytes.map((byte, i) => (i % stride < each.valueSize ? byte : 0)));
}

/** One draw: what it does on a target, and how many operations that is. */
export interface Step {
  readonly count: number;
  run(target: TargetName): string;
}

export interface SequenceResult {
  readonly operations: number;
  /** The first difference, with what came right before it. */
  readonly difference: string | undefined;
}

/** Runs `count` operations on both, until one differs. */
export function runSteps(count: number, draw: () => Step): SequenceResult {
  const recent: string[] = [];
  let operations = 0;
  while (operations < count) {
    const step = draw();
    const here = step.run('user');
    const there = step.run('linux');
    operations += step.count;
    if (here !== there) return { operations, difference: [...recent, `here:  ${here}`, `linux: ${there}`].join('\n') };
    recent.push(here);
    if (recent.length > 6) recent.shift();
  }
  return { operations, difference: undefined };
}

export function runSequence(
  each: SequenceCase,
  objects: Readonly<Record<TargetName, LoadedObject>>,
  seed: number,
  count: number,
): SequenceResult {
  const random = generator(seed);
  return runSteps(count, () => {
    if (random() % 8 === 0) {
      const { packet, size } = packetOf(each, random, RUN);
      return { count: RUN, run: (target) => programRun(objects[target], packet, size, each) };
    }
    const operation = userOperation(each, random);
    return { count: 1, run: (target) => operation(objects[target].maps['map']!) };
  });
}

function programRun(object: LoadedObject, packet: Uint8Array, size: number, each: SequenceCase): string {
  const { returnValue, data } = object.programs['sequence']!.run({ data: packet });
  if (each.program !== 'bloom') return `program ${returnValue} ${hex(data!)}`;
  // Which values are falsely found differs: a value that was pushed must be found, and that is all.
  const view = new DataView(data!.buffer, data!.byteOffset);
  const results: string[] = [];
  for (let at = 16; at + size <= data!.length; at += size)
    results.push(view.getUint32(at, true) === 1 ? String(view.getBigInt64(at + 8, true)) : '-');
  return `program ${returnValue} ${results.join(' ')}`;
}
