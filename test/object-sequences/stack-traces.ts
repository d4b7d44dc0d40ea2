/** Stack traces: which ones a map has. Their addresses, and with them the ids, are each target's own: a stack is told by how many calls it leaves out. */
import { load, Runtime } from '../../src/index.ts';
import type { TargetName } from '../../src/runtime/handles.ts';
import { compileBpf, prelude } from '../clang.ts';
import type { Step } from '../map-sequences.ts';
import { type Bed, named, same, u32, u64 } from './bed.ts';

const ENTRIES = 1 << 16;
const DEPTH = 2;
/** Different stacks: fewer than the kernel has calls above a program of a test run. */
const STACKS = 4;
const BPF_F_FAST_STACK_CMP = 1n << 9n;
const BPF_F_REUSE_STACKID = 1n << 10n;

export function compileStackTraces(): Uint8Array {
  return compileBpf(`${prelude}
struct { __uint(type, 7); __uint(max_entries, ${ENTRIES}); __uint(key_size, 4); __uint(value_size, ${DEPTH * 8}); } map SEC(".maps");
static long (*get_stackid)(void *ctx, void *map, u64 flags) = (void *)27;
SEC("raw_tp") int get(u64 *ctx) { return get_stackid(ctx, &map, ctx[0]); }
char _license[] SEC("license") = "GPL";
`);
}

export async function stackTraceBed(bytes: Uint8Array, seed: bigint): Promise<Bed> {
  const kernel = Array.from({ length: STACKS + DEPTH }, (_, n) => BigInt(11 + n));
  const runtime = new Runtime({ seed, task: { pid: 1, stack: { kernel, user: [] } } });
  const objects = { user: await load(bytes, { runtime }), linux: await load(bytes, { target: 'linux' }) };
  const get = (target: TargetName, flags: bigint) =>
    objects[target].programs['get']!.run({ context: u64(flags) }).returnValue | 0;
  const ids = (target: TargetName) => Array.from({ length: STACKS }, (_, n) => get(target, BigInt(n)));
  const of = { user: ids('user'), linux: ids('linux') };
  for (const [target, all] of Object.entries(of)) {
    if (new Set(all).size !== STACKS || Math.min(...all) < 0) throw new Error(`stacks of ${target}: ${all.join(' ')}`);
    for (const id of all) objects[target as TargetName].maps['map']!.raw.delete(u32(id)); // Of the two keys above.
  }
  const nameOf = (id: number, target: TargetName) => {
    const n = of[target].indexOf(id);
    return n < 0 ? (id < 0 ? String(id) : 'unknown') : `stack ${n}`;
  };
  const nobody = Array.from({ length: 100 }, (_, n) => n).find((n) => !of.user.includes(n) && !of.linux.includes(n))!;
  return {
    objects,
    keys: [
      ...of.user.map((id, n) => named(`stack ${n}`, u32(id), u32(of.linux[n]!))),
      same('nobody', u32(nobody)),
      same('beyond', u32(ENTRIES)),
    ],
    value: () => same('', new Uint8Array(DEPTH * 8)),
    show: () => 'some',
    showKey: (key, target) => nameOf(new DataView(key.buffer, key.byteOffset).getUint32(0, true), target),
    others: 4,
    other(random): Step {
      const flags =
        BigInt(random() % STACKS) |
        (random() % 2 === 0 ? BPF_F_FAST_STACK_CMP : 0n) |
        (random() % 2 === 0 ? BPF_F_REUSE_STACKID : 0n) |
        (random() % 32 === 0 ? 1n << 11n : 0n);
      return { count: 1, run: (target) => `get ${flags}: ${nameOf(get(target, flags), target)}` };
    },
    close() {
      for (const object of Object.values(objects)) object.close();
    },
  };
}
