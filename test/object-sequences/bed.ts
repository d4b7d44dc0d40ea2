/**
 * object-sequences/: sequences of operations on maps whose keys or elements are objects: sockets, tasks, files, control groups, programs. Both targets
 * have the same objects, modelled here and real in the kernel, and name them in their own way. One file a kind.
 *
 * This file: what a sequence needs (a bed), the operations of user space, and the program that runs operations which it finds in a map.
 */
import type { LoadedObject, MapHandle, TargetMap, TargetName, UpdateMode } from '../../src/runtime/handles.ts';
import { isArray } from '../../src/runtime/handles.ts';
import { compileBpf, prelude } from '../clang.ts';
import { attempt, hex, keysOf } from '../map-operations.ts';
import { generator, runSteps, type SequenceResult, type Step } from '../map-sequences.ts';

/** Operations of one run of the program. */
export const RUN = 32;

/** Bytes that say the same thing to both. */
export interface Named {
  readonly name: string;
  readonly bytes: Readonly<Record<TargetName, Uint8Array>>;
}

export interface Bed {
  readonly objects: Readonly<Record<TargetName, LoadedObject>>;
  /** The map, where it is not always `map`. */
  map?(target: TargetName): MapHandle;
  readonly keys: readonly Named[];
  /** What user space writes. */
  value(random: () => number): Named;
  /** What a value that was read says, in the same words for both; default its bytes. */
  show?(value: Uint8Array, target: TargetName): string;
  /** What a key that was given says; default its bytes. */
  showKey?(key: Uint8Array, target: TargetName): string;
  /** Order of keys is compared too. */
  readonly ordered?: boolean;
  /** A run of a program, or an operation of a kind of its own. */
  other?(random: () => number): Step;
  /** Of eight draws so many are of `other` (default 1). */
  readonly others?: number;
  close(): void;
}

export function same(name: string, bytes: Uint8Array): Named {
  return { name, bytes: { user: bytes, linux: bytes } };
}

export function named(name: string, user: Uint8Array, linux: Uint8Array): Named {
  return { name, bytes: { user, linux } };
}

export function u32(n: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(n).buffer);
}

export function u64(n: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(n).buffer);
}

export function runBed(bed: Bed, seed: number, count: number): SequenceResult {
  const random = generator(seed);
  return runSteps(count, () =>
    bed.other !== undefined && random() % 8 < (bed.others ?? 1) ? bed.other(random) : userStep(bed, random),
  );
}

const modes: readonly UpdateMode[] = ['any', 'any', 'any', 'noexist', 'exist', 'lock'];

/** One operation of user space. */
function userStep(bed: Bed, random: () => number): Step {
  const choice = random() % 16;
  const key = bed.keys[random() % bed.keys.length]!;
  const mode = modes[random() % modes.length]!;
  const value = bed.value(random);
  const draw = random();
  const on = (what: string, act: (map: TargetMap, target: TargetName) => string): Step => ({
    count: 1,
    run: (target) => {
      const map = (bed.map?.(target) ?? bed.objects[target].maps['map']!).raw as TargetMap; // Both targets' maps are.
      return `${what} ${attempt(() => act(map, target))}`;
    },
  });
  const lookup = on(`lookup ${key.name}`, (map, target) => shown(bed, map.lookup(key.bytes[target]), target));
  if (choice < 6)
    return on(`update ${key.name} ${value.name} ${mode}`, (map, target) =>
      String(map.update(key.bytes[target], value.bytes[target], mode)),
    );
  if (choice < 10) return lookup;
  if (choice < 13) return on(`delete ${key.name}`, (map, target) => String(map.delete(key.bytes[target])));
  if (choice === 13) {
    if (draw % 4 === 0) return on(`take ${key.name}`, (map, target) => shown(bed, map.take(key.bytes[target]), target));
    if (!bed.ordered)
      return on('keys', (map, target) =>
        keysOf(map)
          .map((each) => keyShown(bed, each, target))
          .sort()
          .join(' '),
      );
    return on(`next ${key.name}`, (map, target) => {
      const next = map.nextKey(key.bytes[target]);
      return next === undefined ? 'none' : keyShown(bed, next, target);
    });
  }
  if (choice === 14 && draw % 8 === 0) return batch(bed, generator(draw), on);
  if (draw % 16 !== 0) return lookup;
  return on('contents', (map, target) => {
    const all = keysOf(map).map(
      (each) => `${keyShown(bed, each, target)}=${attempt(() => shown(bed, map.lookup(each), target))}`,
    );
    return (bed.ordered ? all : all.sort()).join(' ');
  });
}

/** None of these types has batches: what is refused, and how. */
function batch(
  bed: Bed,
  random: () => number,
  on: (what: string, act: (map: TargetMap, target: TargetName) => string) => Step,
): Step {
  const keys = [0, 1].map(() => bed.keys[random() % bed.keys.length]!);
  const values = [0, 1].map(() => bed.value(random));
  const bytesOf = (all: readonly Named[], target: TargetName) => Buffer.concat(all.map(({ bytes }) => bytes[target]));
  const names = keys.map(({ name }) => name).join(',');
  switch (random() % 4) {
    case 0:
      return on(`update batch ${names}`, (map, target) =>
        String(map.updateBatch(bytesOf(keys, target), bytesOf(values, target))),
      );
    case 1:
      return on(`delete batch ${names}`, (map, target) => String(map.deleteBatch(bytesOf(keys, target))));
    case 2:
      return on('lookup batch', (map) => String(map.lookupBatch(64).count));
    default:
      return on('take batch', (map) => String(map.lookupBatch(64, undefined, true).count));
  }
}

function keyShown(bed: Bed, key: Uint8Array, target: TargetName): string {
  return bed.showKey === undefined ? hex(key) : bed.showKey(key, target);
}

function shown(bed: Bed, value: Uint8Array | undefined, target: TargetName): string {
  if (value === undefined) return 'none';
  return bed.show === undefined ? hex(value) : bed.show(value, target);
}

/**
 * A program that runs RUN operations which user space puts into the map `ops`. `cases`: of a switch over `op->op`, which leave what came of it in `op->result`
 * and `op->value`.
 */
export function operationSource(section: string, declarations: string, cases: string): string {
  return `${prelude}
static long (*update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*delete)(void *map, const void *key) = (void *)3;
struct op { u32 op, flags; u32 key, object; s64 result; u64 value; };
struct { __uint(type, 2); __uint(max_entries, ${RUN}); __uint(map_flags, 0x400); __type(key, u32); __type(value, struct op); } ops SEC(".maps");
${declarations}
struct run { void *ctx; };
static long step(u32 i, struct run *run) {
  struct op *op = bpf_map_lookup_elem(&ops, &i);
  if (!op) return 1;
  switch (op->op) {${cases}
  }
  return 0;
}
SEC("${section}") int sequence(void *ctx) { struct run run = { ctx }; bpf_loop(${RUN}, step, &run, 0); return 2; }
char _license[] SEC("license") = "GPL";
`;
}

export function compileOperations(section: string, declarations: string, cases: string): Uint8Array {
  return compileBpf(operationSource(section, declarations, cases));
}

export interface ProgramOperation {
  readonly op: number;
  readonly flags?: number;
  readonly key?: number;
  readonly object?: number;
  readonly value?: bigint;
}

const OP = 32;

/** A run of `operationSource` over operations that are drawn. */
export function programStep(bed: Pick<Bed, 'objects'>, draw: () => ProgramOperation, input: object): Step {
  const bytes = new Uint8Array(RUN * OP);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += OP) {
    const { op, flags = 0, key = 0, object = 0, value = 0n } = draw();
    for (const [i, word] of [op, flags, key, object].entries()) view.setUint32(at + 4 * i, word, true);
    view.setBigUint64(at + 24, value, true);
  }
  return {
    count: RUN,
    run(target) {
      const { maps, programs } = bed.objects[target];
      const ops = operationsOf(maps['ops']!);
      ops.set(bytes);
      const { returnValue } = programs['sequence']!.run(input);
      return `program ${returnValue} ${hex(operationsOf(maps['ops']!))}`;
    },
  };
}

function operationsOf(map: MapHandle): Uint8Array {
  if (!isArray(map)) throw new Error('ops is an array');
  return map.bytes();
}
