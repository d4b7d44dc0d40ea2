// struct_ops maps in the kernel: a congestion control of our own that TCP really uses, by update and by link, replaced while it runs.
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { load } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { attachStructOps, type LinuxObject, type LinuxStructOps } from '../src/linux/index.ts';
import { setSocketOption, socketOption } from '../src/linux/sockets.ts';
import { clangs, compileBpf, prelude } from './clang.ts';

const missing = bpfRefusal() ?? (clangs.length === 0 ? 'no clang' : undefined);
const skipped = missing === undefined ? '' : ` (skipped: ${missing})`;
const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;

/** Grows by one segment a round trip and halves on loss, and counts its calls. `.struct_ops` registers by update, `.struct_ops.link` by a link. */
const source = `${prelude}
#define KERNEL __attribute__((preserve_access_index))
struct sock;
struct tcp_sock { u32 snd_cwnd; u32 snd_cwnd_cnt; u32 snd_ssthresh; } KERNEL;
struct tcp_congestion_ops {
  void (*init)(struct sock *sk);
  u32 (*ssthresh)(struct sock *sk);
  void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
  u32 (*undo_cwnd)(struct sock *sk);
  u32 flags;
  char name[16];
};
u64 calls[4];
u64 version = 1;
SEC("struct_ops/init") void cc_init(u64 *ctx) { __sync_fetch_and_add(&calls[0], 1); }
SEC("struct_ops/ssthresh") u32 cc_ssthresh(u64 *ctx) {
  struct tcp_sock *tp = (void *)ctx[0];
  __sync_fetch_and_add(&calls[1], 1);
  return tp->snd_cwnd > 4 ? tp->snd_cwnd / 2 : 2;
}
SEC("struct_ops/cong_avoid") void cc_cong_avoid(u64 *ctx) {
  struct tcp_sock *tp = (void *)ctx[0];
  __sync_fetch_and_add(&calls[2], version);
  tp->snd_cwnd = tp->snd_cwnd < 1000 ? tp->snd_cwnd + 1 : tp->snd_cwnd;
}
SEC("struct_ops/cong_avoid") void cc_other_avoid(u64 *ctx) { __sync_fetch_and_add(&calls[3], 1); }
SEC("struct_ops/undo_cwnd") u32 cc_undo_cwnd(u64 *ctx) { struct tcp_sock *tp = (void *)ctx[0]; return tp->snd_cwnd; }
#define OPS(avoid) { .init = (void *)cc_init, .ssthresh = (void *)cc_ssthresh, .cong_avoid = (void *)avoid, .undo_cwnd = (void *)cc_undo_cwnd, .name = "sluice" }
SEC(".struct_ops") struct tcp_congestion_ops updated = OPS(cc_cong_avoid);
SEC(".struct_ops.link") struct tcp_congestion_ops linked = OPS(cc_cong_avoid);
SEC(".struct_ops.link") struct tcp_congestion_ops other = OPS(cc_other_avoid);
struct nobody_ops___flavor { void (*init)(struct sock *sk); };
SEC("?.struct_ops") struct nobody_ops___flavor optional = {};
char _license[] SEC("license") = "GPL";
`;

/** A TCP connection over loopback that sends `bytes` by congestion control `name`; what getsockopt says of it then. */
async function send(name: string, bytes: number): Promise<string> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { readonly port: number }; // Of a TCP server.
  const received = new Promise<number>((done) => {
    let count = 0;
    server.once('connection', (socket) => {
      socket.on('data', (data) => (count += data.length));
      socket.on('end', () => {
        socket.end();
        done(count);
      });
    });
  });
  const client = connect(port, '127.0.0.1');
  try {
    await new Promise((done, failed) => client.once('connect', done).once('error', failed));
    const fd = (client as Socket & { readonly _handle: { readonly fd: number } })._handle.fd; // Node has no public name for it.
    const text = new TextEncoder().encode(`${name}\0`);
    setSocketOption(fd, IPPROTO_TCP, TCP_CONGESTION, text);
    client.end(new Uint8Array(bytes));
    expect(await received).toBe(bytes);
    return Buffer.from(socketOption(fd, IPPROTO_TCP, TCP_CONGESTION, 16))
      .toString()
      .replace(/\0.*$/s, '');
  } finally {
    client.destroy();
    server.close();
  }
}

describe.skipIf(missing !== undefined)(`struct_ops in the kernel${skipped}`, () => {
  const bytes = missing === undefined ? compileBpf(source) : new Uint8Array();
  let number = 0;

  /** The object, and its maps with a name that no other process has. */
  async function loaded(): Promise<{
    readonly object: LinuxObject;
    readonly calls: () => readonly bigint[];
    readonly named: (map: string) => {
      readonly map: LinuxStructOps;
      readonly name: string;
      readonly bytes: Uint8Array;
    };
  }> {
    const object = (await load(bytes, { target: 'linux' })) as LinuxObject; // What load gives for this target.
    onTestFinished(() => object.close());
    const suffix = `${process.pid.toString(36)}_${number++}`;
    return {
      object,
      calls: () => [...new BigUint64Array(object.maps['.bss']!.raw.lookup(new Uint8Array(4))!.slice(0, 32).buffer)],
      named(which) {
        const map = object.maps[which] as LinuxStructOps; // By its type.
        const name = `slc_${suffix}`;
        const { contents } = map.spec;
        if (contents.kind !== 'struct-ops') throw new Error('it has a struct');
        const own = contents.bytes.slice();
        own.fill(0, own.length - 20, own.length - 4);
        own.set(new TextEncoder().encode(name), 36);
        return { map, name, bytes: own };
      },
    };
  }

  it('registers by update: TCP calls the programs, until it is unregistered', async () => {
    const { calls, named } = await loaded();
    const { map, name, bytes: struct } = named('updated');
    expect([map.state, [...map.programs.values()]]).toEqual([
      'init',
      ['cc_init', 'cc_ssthresh', 'cc_cong_avoid', 'cc_undo_cwnd'],
    ]);
    await expect(send(name, 10)).rejects.toThrow('ENOENT');
    map.register(struct);
    expect(map.state).toBe('inuse');
    expect(Buffer.from(map.struct()).includes(name)).toBe(true);
    expect(() => map.register(struct)).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_EBUSY' }));
    expect(await send(name, 1_000_000)).toBe(name);
    const [inits, , avoids, others] = calls();
    expect([inits, avoids! > 0n, others]).toEqual([1n, true, 0n]);
    expect(map.unregister()).toBe(true);
    expect(map.state).toBe('tobefree');
    await expect(send(name, 10)).rejects.toThrow('ENOENT');
  });

  it('attaches by a link, which takes another struct while it is there', async () => {
    const { calls, named } = await loaded();
    const { map, name, bytes: struct } = named('linked');
    const other = named('other');
    map.register(struct);
    expect(map.state).toBe('ready');
    await expect(send(name, 10)).rejects.toThrow('ENOENT');
    expect(() => map.unregister()).toThrow('EOPNOTSUPP');
    const link = attachStructOps(map);
    expect(await send(name, 500_000)).toBe(name);
    const before = calls();
    expect([before[2]! > 0n, before[3]]).toEqual([true, 0n]);
    other.map.register(other.bytes);
    link.update(other.map);
    expect(await send(name, 5_000_000)).toBe(name);
    const after = calls();
    // The connection before may have had its last acknowledgement meanwhile.
    expect([after[2]! - before[2]! < 3n, after[3]! > 3n]).toEqual([true, true]);
    link.close();
    await expect(send(name, 10)).rejects.toThrow('ENOENT');
  });

  it('says what it refuses', async () => {
    const { object, named } = await loaded();
    expect(Object.keys(object.maps)).not.toContain('optional');
    expect(() => named('updated').map.register(new Uint8Array(3))).toThrow(
      expect.objectContaining({ code: 'SLUICE_MAP_VALUE_SIZE' }),
    );
    // A name that is none: the kernel's own check.
    const { map, bytes: struct } = named('updated');
    expect(() => map.register(struct.fill(0, 32))).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_EINVAL' }));
    const flags = compileBpf(`${prelude}
struct sock;
struct tcp_congestion_ops { u32 (*ssthresh)(struct sock *sk); u64 flags; int ours; };
SEC("struct_ops/ssthresh") u32 some(u64 *ctx) { return 2; }
SEC(".struct_ops") struct tcp_congestion_ops ops = { .ssthresh = (void *)some, .flags = 1 };
char _license[] SEC("license") = "GPL";`);
    const wide = (await load(flags, { target: 'linux' })) as LinuxObject; // As above.
    onTestFinished(() => wide.close());
    const ops = wide.maps['ops'] as LinuxStructOps; // By its type.
    expect(() => ops.register()).toThrow(
      'member flags of struct tcp_congestion_ops: this kernel has in another form it',
    );
    const unknown = compileBpf(source.replace('SEC("?.struct_ops")', 'SEC(".struct_ops")'));
    await expect(load(unknown, { target: 'linux' })).rejects.toThrow(
      'this kernel has no struct nobody_ops that programs can implement',
    );
  });
});
