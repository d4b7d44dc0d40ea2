/** Arrays of control groups: which ones there are, and in which of them programs run. */
import { attachCgroup, createCgroup, createInode, load, Runtime } from '../../src/index.ts';
import { type Bed, compileOperations, named, programStep, same, u32 } from './bed.ts';
import type { KernelOwners } from './storages.ts';

const ENTRIES = 5;

export function compileCgroupArray(): Uint8Array {
  return compileOperations(
    'tc',
    `static long (*task_under)(void *map, u32 index) = (void *)37;
struct { __uint(type, 8); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, ${ENTRIES}); } map SEC(".maps");`,
    `
    case 0: op->result = task_under(&map, op->key); break;`,
  );
}

export async function cgroupArrayBed(bytes: Uint8Array, { cgroups, inodes }: KernelOwners, seed: bigint): Promise<Bed> {
  const runtime = new Runtime({ seed });
  const objects = { user: await load(bytes, { runtime }), linux: await load(bytes, { target: 'linux' }) };
  const models = cgroups.map(() => createCgroup(runtime));
  const inode = createInode(runtime);
  // The first group of the kernel is the root, which this process is in.
  attachCgroup(runtime, models[0]);
  const values = [
    ...models.map(({ id }, i) => named(`group ${i}`, u32(id), u32(cgroups[i]!))),
    named('a file', u32(inode.id), u32(inodes[0]!)),
    same('none', u32(1_000_000)),
  ];
  return {
    objects,
    keys: Array.from({ length: ENTRIES + 2 }, (_, n) => same(String(n), u32(n))),
    value: (random) => values[random() % values.length]!,
    ordered: true,
    other: (random) =>
      programStep({ objects }, () => ({ op: 0, key: random() % (ENTRIES + 2) }), { data: new Uint8Array(64) }),
    close() {
      attachCgroup(runtime, undefined);
      for (const object of Object.values(objects)) object.close();
      for (const model of [...models, inode]) model.close();
    },
  };
}
