/** Arrays of programs: what goes into one, and where tail calls go. */
import { createInode, load, Runtime } from '../../src/index.ts';
import type { LinuxObject } from '../../src/linux/index.ts';
import { programInfoOf } from '../../src/linux/info.ts';
import type { UserProgram } from '../../src/runtime/program.ts';
import { compileBpf, prelude } from '../clang.ts';
import { type Bed, named, same, u32 } from './bed.ts';

const ENTRIES = 6;

/**
 * `go` of section `section` goes on in the element that its words name. Beside programs of its type there are others: those that the array takes if it has no
 * owner yet, when there is no `go`.
 */
export function compileProgArray(owner: boolean): Uint8Array {
  const go = `
SEC("tc") int go(void *ctx) { u32 zero = 0; struct words *w = words(&zero); if (!w) return -2; tail_call(ctx, &map, w->first); return 100; }
SEC("tc") int one(void *ctx) { return 1; }
SEC("tc") int two(void *ctx) { u32 zero = 0; struct words *w = words(&zero); if (!w) return -2; tail_call(ctx, &map, w->second); return 2; }
SEC("tc") int three(void *ctx) { u32 zero = 0; struct words *w = words(&zero); if (!w) return -2; w->calls++; tail_call(ctx, &map, w->calls & 1 ? w->second : w->first); return 3; }`;
  return compileBpf(`${prelude}
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;
struct words { u32 first, second, calls, rest; };
struct { __uint(type, 2); __uint(max_entries, 1); __uint(map_flags, 0x400); __type(key, u32); __type(value, struct words); } ops SEC(".maps");
struct { __uint(type, 3); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, ${ENTRIES}); } map SEC(".maps");
static __attribute__((unused, always_inline)) struct words *words(u32 *zero) { return bpf_map_lookup_elem(&ops, zero); }
${owner ? go : ''}
SEC("xdp") int plain(void *ctx) { return 2; }
SEC("xdp.frags") int frags(void *ctx) { return 2; }
SEC("xdp/devmap") int device(void *ctx) { return 2; }
SEC("cgroup_skb/egress") int egress(void *ctx) { return 1; }
SEC("cgroup_skb/ingress") int ingress(void *ctx) { return 1; }
SEC("tc") int last(void *ctx) { return 4; }
char _license[] SEC("license") = "GPL";
`);
}

export async function progArrayBed(bytes: Uint8Array, owner: boolean, seed: bigint): Promise<Bed> {
  const runtime = new Runtime({ seed });
  const user = await load(bytes, { runtime });
  const linux = (await load(bytes, { target: 'linux' })) as LinuxObject; // What load gives for this target.
  const inode = createInode(runtime);
  const names = Object.keys(user.programs);
  const entries = new Map<number, string>();
  const values = names.map((name) => {
    const { tailEntry } = (user.programs[name] as UserProgram).executable;
    entries.set(tailEntry, name);
    return named(name, u32(tailEntry), u32(linux.programs[name]!.fd));
  });
  const ids = new Map(names.map((name) => [programInfoOf(linux.programs[name]!.fd).id, name]));
  const own = values.filter(({ name }) => ['one', 'two', 'three', 'last'].includes(name));
  const odd = [...values, same('none', u32(1_000_000))];
  const objects = { user, linux };
  return {
    objects,
    keys: Array.from({ length: ENTRIES + 2 }, (_, n) => same(String(n), u32(n))),
    value: (random) => (owner && random() % 4 > 0 ? own[random() % own.length]! : odd[random() % odd.length]!),
    show(value, target) {
      const number = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
      return (target === 'user' ? entries : ids).get(number) ?? `unknown ${number}`;
    },
    ordered: true,
    ...(owner
      ? {
          others: 4,
          other(random: () => number) {
            const words = Uint32Array.of(random() % (ENTRIES + 2), random() % (ENTRIES + 2), 0, 0);
            return {
              count: 1,
              run(target: 'user' | 'linux') {
                const { maps, programs } = objects[target];
                maps['ops']!.raw.update(u32(0), new Uint8Array(words.buffer));
                const { returnValue } = programs['go']!.run({ data: new Uint8Array(64) });
                const after = maps['ops']!.raw.lookup(u32(0))!;
                return `go ${words[0]} ${words[1]}: ${returnValue | 0} after ${new DataView(after.buffer, after.byteOffset).getUint32(8, true)}`;
              },
            };
          },
        }
      : {}),
    close() {
      user.close();
      linux.close();
      inode.close();
    },
  };
}
