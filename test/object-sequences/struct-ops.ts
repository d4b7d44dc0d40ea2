/** struct_ops: the states of a registration. Each map has few of them, once, so that a sequence goes over many. */
import { load, Runtime, readObject, type StructOpsHandle } from '../../src/index.ts';
import type { LinuxObject } from '../../src/linux/index.ts';
import { kernelStruct, kernelValue, structNameOf } from '../../src/linux/struct-ops.ts';
import type { TargetName } from '../../src/runtime/handles.ts';
import { structOpsValueSize } from '../../src/runtime/maps/struct-ops.ts';
import { compileBpf, prelude } from '../clang.ts';
import { type Bed, type Named, named, same, u32 } from './bed.ts';

const MAPS = 40;
/** struct bpf_struct_ops_common_value: u32 references, u32 state; the struct from here on, here as in the kernel. */
const STRUCT = 64;

/** Odd ones are registered by links. */
export function compileStructOps(): Uint8Array {
  const ops = Array.from(
    { length: MAPS },
    (_, n) => `SEC(".struct_ops${n % 2 === 1 ? '.link' : ''}") struct tcp_congestion_ops ops${n} = OPS;`,
  );
  return compileBpf(`${prelude}
struct sock;
struct tcp_congestion_ops { u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked); u32 (*undo_cwnd)(struct sock *sk); char name[16]; };
SEC("struct_ops/ssthresh") u32 cc_ssthresh(u64 *ctx) { return 2; }
SEC("struct_ops/cong_avoid") void cc_cong_avoid(u64 *ctx) { }
SEC("struct_ops/undo_cwnd") u32 cc_undo_cwnd(u64 *ctx) { return 2; }
#define OPS { .ssthresh = (void *)cc_ssthresh, .cong_avoid = (void *)cc_cong_avoid, .undo_cwnd = (void *)cc_undo_cwnd, .name = "sluice" }
${ops.join('\n')}
char _license[] SEC("license") = "GPL";
`);
}

let registrations = 0;

export async function structOpsBed(bytes: Uint8Array, seed: bigint): Promise<Bed> {
  const spec = readObject(bytes, 'struct-ops');
  const types = spec.btf!;
  const user = await load(spec, { runtime: new Runtime({ seed }), programs: [] });
  const linux = (await load(spec, { target: 'linux' })) as LinuxObject; // What load gives for this target.
  const objects = { user, linux };
  const mapOf = (target: TargetName, n: number) => objects[target].maps[`ops${n}`] as StructOpsHandle; // By its type.
  const kernel = kernelStruct(structNameOf(mapOf('linux', 0).spec, types));
  const nameAt = {
    user: STRUCT + 24,
    linux: STRUCT + kernel.type.members.find(({ name }) => name === 'name')!.bitOffset / 8,
  };
  let current = 0;
  let values: readonly Named[] = [];
  const next = (n: number) => {
    current = n;
    const map = mapOf('user', n).spec;
    if (map.contents.kind !== 'struct-ops') throw new Error('it has a struct');
    const struct = map.contents.bytes.slice();
    // A name that nobody else of this machine has.
    struct.fill(0, 24);
    struct.set(new TextEncoder().encode(`q${process.pid.toString(36)}_${registrations++}`), 24);
    const here = new Uint8Array(structOpsValueSize(struct.length));
    here.set(struct, STRUCT);
    const there = kernelValue(kernel, map, types, struct, (name) => linux.programs[name]!.fd);
    const with1 = (at: number, name: string) => {
      const both = [here, there].map((value) => {
        const changed = value.slice();
        changed[at] = 1;
        return changed;
      });
      return named(name, both[0]!, both[1]!);
    };
    values = [named('struct', here, there), with1(0, 'with references'), with1(4, 'with a state')];
  };
  next(0);
  return {
    objects,
    map: (target) => mapOf(target, current),
    keys: [0, 0, 0, 1, 0x8000_0000].map((n) => same(String(n), u32(n))),
    value: (random) => values[random() % 3 === 0 ? 1 + (random() % 2) : 0]!,
    show(value, target) {
      const view = new DataView(value.buffer, value.byteOffset);
      const name = value.subarray(nameAt[target], nameAt[target] + 16);
      return `${view.getUint32(0, true)} references, state ${view.getUint32(4, true)}, ${Buffer.from(name).toString('latin1').replace(/\0+$/, '')}`;
    },
    ordered: true,
    other: (random) => {
      const step = random() % 64 === 0 && current + 1 < MAPS;
      return {
        count: 1,
        run(target) {
          if (step && target === 'user') next(current + 1);
          return `map ${current}: ${mapOf(target, current).state}`;
        },
      };
    },
    close() {
      for (let n = 0; n < MAPS; n += 2) if (mapOf('linux', n).state === 'inuse') mapOf('linux', n).unregister();
      user.close();
      linux.close();
    },
  };
}
