/** The two storages of control groups that programs are attached to: the kernel has elements from the attachment on, here they are there from the first run on. */
import { fstatSync } from 'node:fs';
import { mapTypes } from '../../src/abi/map-types.ts';
import { attachCgroup, createCgroup, load, Runtime } from '../../src/index.ts';
import { attachCgroup as attachToGroup, type LinuxObject } from '../../src/linux/index.ts';
import { compileBpf, prelude } from '../clang.ts';
import { hex } from '../map-operations.ts';
import { type Bed, named, same, u64 } from './bed.ts';
import type { KernelOwners } from './storages.ts';

export interface CgroupStorageMap {
  readonly type: 'cgroup_storage' | 'percpu_cgroup_storage';
  readonly valueSize: number;
}

/** Keys of 8 bytes: one element a group, whatever its programs are attached to. */
export function compileCgroupStorage({ type, valueSize }: CgroupStorageMap): Uint8Array {
  return compileBpf(`${prelude}
struct value { u8 bytes[${valueSize}]; };
struct { __uint(type, ${mapTypes[type]}); __type(key, u64); __type(value, struct value); } map SEC(".maps");
static void *(*get_local_storage)(void *map, u64 flags) = (void *)81;
SEC("cgroup_skb/egress") int touch(void *ctx) { u8 *value = get_local_storage(&map, 0); return value[0] < 255; }
char _license[] SEC("license") = "GPL";
`);
}

export async function cgroupStorageBed(
  { valueSize, type }: CgroupStorageMap,
  bytes: Uint8Array,
  { cgroups }: KernelOwners,
  cpus: number,
  seed: bigint,
): Promise<Bed> {
  const runtime = new Runtime({ seed, cpus });
  const user = await load(bytes, { runtime });
  const linux = (await load(bytes, { target: 'linux' })) as LinuxObject; // What load gives for this target.
  // Not the root, whose packets would be looked at; the last one has no program.
  const groups = cgroups.slice(1).map((fd) => ({ fd, model: createCgroup(runtime) }));
  const other = createCgroup(runtime);
  const links = groups.map(({ fd, model }) => {
    attachCgroup(runtime, model);
    user.programs['touch']!.run({ data: new Uint8Array(64) });
    return attachToGroup(linux.programs['touch']!, fd, 'cgroup_inet_egress');
  });
  attachCgroup(runtime, undefined);
  const keys = [
    ...groups.map(({ fd, model }, n) =>
      named(`group ${n}`, u64(BigInt(model.id)), u64(fstatSync(fd, { bigint: true }).ino)),
    ),
    named('another', u64(BigInt(other.id)), u64(fstatSync(cgroups[0]!, { bigint: true }).ino)),
    same('none', u64(1n << 40n)),
  ];
  const stride = (valueSize + 7) & ~7;
  const size = type === 'cgroup_storage' ? valueSize : stride * cpus;
  return {
    objects: { user, linux },
    keys,
    value(random) {
      const value = new Uint8Array(size);
      for (let i = 0; i < size; i++) if (i % stride < valueSize) value[i] = random();
      return same('', value);
    },
    // What lies between the values of two CPUs is nobody's: the kernel shows what others write there.
    show: (value) => hex(value.map((byte, i) => (i % stride < valueSize ? byte : 0))),
    showKey: (key, target) =>
      keys.find(({ bytes: of }) => Buffer.from(of[target]).equals(key))?.name ??
      `unknown ${Buffer.from(key).toString('hex')}`,
    ordered: true,
    close() {
      for (const link of links) link.close();
      user.close();
      linux.close();
      for (const { model } of groups) model.close();
      other.close();
    },
  };
}
