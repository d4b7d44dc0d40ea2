/** Storage that hangs on objects: sk_storage, task_storage, inode_storage, cgrp_storage. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mapTypes } from '../../src/abi/map-types.ts';
import {
  createCgroup,
  createInode,
  createSocket,
  createTask,
  currentTask,
  load,
  type ModelledObject,
  Runtime,
} from '../../src/index.ts';
import { close, syscallByNumber } from '../../src/linux/ffi.ts';
import { type Bed, compileOperations, named, programStep, same, u32, u64 } from './bed.ts';
import type { KernelSockets } from './sockets.ts';

export interface StorageMap {
  readonly type: 'sk_storage' | 'task_storage' | 'inode_storage' | 'cgrp_storage';
  /** The value begins with a bpf_spin_lock. */
  readonly locked: boolean;
}

/** Objects of the kernel by descriptor. The first task is this process. */
export interface KernelOwners {
  readonly tasks: readonly number[];
  readonly inodes: readonly number[];
  readonly cgroups: readonly number[];
  close(): void;
}

const pidfd_open = 434;
/** Ids that programs find groups by: the last is nobody's. */
const GROUPS = 4;

export function openOwners(): KernelOwners {
  const folder = mkdtempSync(join(tmpdir(), `sluice-owners-${process.pid}-`));
  const groups = join(folder, 'cgroup');
  mkdirSync(groups);
  execFileSync('mount', ['-t', 'cgroup2', 'none', groups]);
  const children = [0, 1].map(() => spawn('sleep', ['7200']));
  const tasks = [process.pid, ...children.map(({ pid }) => pid!)].map((pid) => syscallByNumber(pidfd_open, pid));
  const inodes = [0, 1, 2].map((n) => openSync(join(folder, String(n)), 'w'));
  const folders = [0, 1].map((n) => join(groups, `sluice-${process.pid}-${n}`));
  for (const each of folders) mkdirSync(each);
  const cgroups = [groups, ...folders].map((each) => openSync(each, 'r'));
  return {
    tasks,
    inodes,
    cgroups,
    close() {
      for (const each of tasks) close(each);
      for (const each of children) each.kill('SIGKILL');
      for (const each of [...inodes, ...cgroups]) closeSync(each);
      for (const each of folders) rmdirSync(each);
      execFileSync('umount', [groups]);
      rmSync(folder, { recursive: true });
    },
  };
}

/** The object that a program asks for, as `owner`; what it takes to come to it, and to let it go. */
const owners: Readonly<
  Record<
    StorageMap['type'],
    { readonly helpers: number; readonly section: string; readonly get: string; readonly put: string } | undefined
  >
> = {
  sk_storage: {
    helpers: 107,
    section: 'tc',
    get: 'void *owner = bpf_map_lookup_elem(&sources, &op->object); op->result = -1000; if (!owner) break;',
    put: 'sk_release(owner);',
  },
  task_storage: { helpers: 156, section: 'syscall', get: 'void *owner = op->object ? 0 : current();', put: '' },
  cgrp_storage: {
    helpers: 210,
    section: 'syscall',
    get: 'u64 *id = bpf_map_lookup_elem(&ids, &op->object); op->result = -1000; if (!id) break; struct cgroup *owner = bpf_cgroup_from_id(*id); if (!owner) break;',
    put: 'bpf_cgroup_release(owner);',
  },
  // Programs of hooks of the LSM alone come to inodes: they have no test run.
  inode_storage: undefined,
};

export function compileStorageMap({ type, locked }: StorageMap): Uint8Array {
  const owner = owners[type];
  const map = `struct bpf_spin_lock { u32 val; };
struct value { ${locked ? 'struct bpf_spin_lock lock;' : 'u32 free;'} u32 count; u64 word; };
struct { __uint(type, ${mapTypes[type]}); __uint(map_flags, 1); __type(key, int); __type(value, struct value); } map SEC(".maps");`;
  if (owner === undefined) return compileOperations('syscall', map, '');
  const { helpers, section, get, put } = owner;
  return compileOperations(
    section,
    `${map}
struct { __uint(type, 15); __uint(max_entries, 16); __type(key, u32); __type(value, u32); } sources SEC(".maps");
static long (*sk_release)(void *sk) = (void *)86;
struct { __uint(type, 2); __uint(max_entries, ${GROUPS}); __type(key, u32); __type(value, u64); } ids SEC(".maps");
struct cgroup;
extern struct cgroup *bpf_cgroup_from_id(u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *group) __ksym;
static void *(*current)(void) = (void *)158;
static struct value *(*get)(void *map, void *owner, void *value, u64 flags) = (void *)${helpers};
static long (*remove)(void *map, void *owner) = (void *)${helpers + 1};`,
    `
    case 0: { ${get} struct value *v = get(&map, owner, 0, op->flags); op->result = v != 0; if (v) { op->value = v->word; v->count++; } ${put} break; }
    case 1: { ${get} struct value first = {}; first.count = op->key; first.word = op->value; struct value *v = get(&map, owner, &first, op->flags); op->result = v ? v->count : -1; ${put} break; }
    case 2: { ${get} op->result = remove(&map, owner); ${put} break; }
    case 3: { ${get} struct value *v = get(&map, owner, 0, 0); op->result = v != 0; if (v) { v->word += op->value; op->value = v->word; } ${put} break; }`,
  );
}

export async function storageBed(
  each: StorageMap,
  bytes: Uint8Array,
  kernel: KernelOwners,
  sockets: KernelSockets,
  seed: bigint,
): Promise<Bed> {
  const runtime = new Runtime({ seed });
  const objects = { user: await load(bytes, { runtime }), linux: await load(bytes, { target: 'linux' }) };
  const [models, fds] = modelled(each, runtime, kernel, sockets);
  const wrong = each.type === 'task_storage' ? createInode(runtime) : currentTask(runtime);
  const keys = [
    ...models.map((model, i) => named(String(i), u32(model.id), u32(fds[i]!))),
    same('none', u32(1_000_000)),
    // Every file has an inode.
    ...(each.type === 'inode_storage' ? [] : [named('a file', u32(wrong.id), u32(kernel.inodes[0]!))]),
  ];
  if (each.type === 'sk_storage')
    for (const [i, { options, fd }] of sockets.all.entries())
      if (options.state !== 'close') {
        objects.user.maps['sources']!.raw.update(u32(i), u32(models[i]!.id));
        objects.linux.maps['sources']!.raw.update(u32(i), u32(fd));
      }
  if (each.type === 'cgrp_storage')
    for (const [i, model] of [...models, undefined].entries()) {
      const real = model === undefined ? 1n << 40n : fstatSync(fds[i]!, { bigint: true }).ino;
      objects.user.maps['ids']!.raw.update(u32(i), u64(model === undefined ? real : BigInt(model.id)));
      objects.linux.maps['ids']!.raw.update(u32(i), u64(real));
    }
  const program = (random: () => number) => ({
    op: random() % 4,
    flags: random() % 4 === 0 ? random() % 4 : random() % 2,
    key: random() % 100,
    object: random() % (each.type === 'sk_storage' ? models.length : GROUPS + 1),
    value: BigInt(random()),
  });
  const input = each.type === 'sk_storage' ? { data: new Uint8Array(64) } : {};
  return {
    objects,
    keys,
    value(random) {
      const value = new Uint8Array(16);
      for (let i = 0; i < value.length; i++) value[i] = random();
      return same('', value);
    },
    ...(owners[each.type] === undefined
      ? {}
      : { other: (random: () => number) => programStep({ objects }, () => program(random), input) }),
    close() {
      for (const object of Object.values(objects)) object.close();
      for (const model of [...models, wrong]) model.close();
    },
  };
}

function modelled(
  { type }: StorageMap,
  runtime: Runtime,
  { tasks, inodes, cgroups }: KernelOwners,
  sockets: KernelSockets,
): [readonly ModelledObject[], readonly number[]] {
  switch (type) {
    case 'sk_storage':
      return [sockets.all.map(({ options }) => createSocket(runtime, options)), sockets.all.map(({ fd }) => fd)];
    case 'task_storage':
      return [tasks.map((_, i) => (i === 0 ? currentTask(runtime) : createTask(runtime))), tasks];
    case 'inode_storage':
      return [inodes.map(() => createInode(runtime)), inodes];
    case 'cgrp_storage':
      return [cgroups.map(() => createCgroup(runtime)), cgroups];
  }
}
