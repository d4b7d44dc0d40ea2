// Hooks that Linux has no test run for: contexts in and out, what helpers see and leave, on both engines.
import { afterEach, describe, expect, it } from 'vitest';
import { createSocket, load, type UserObject } from '../src/index.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const source = `${prelude}
struct bpf_sock { u32 bound_dev_if, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port; u16 dst_port, pad; u32 dst_ip4, dst_ip6[4], state; s32 rx; };
struct bpf_cgroup_dev_ctx { u32 access_type, major, minor; };
struct bpf_sock_addr { u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol, msg_src_ip4, msg_src_ip6[4]; struct bpf_sock *sk; };
struct bpf_sockopt { struct bpf_sock *sk; u8 *optval, *optval_end; s32 level, optname, optlen, retval; };
struct bpf_sysctl { u32 write, file_pos; };
struct bpf_sock_ops { u32 op, args[4], family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, is_fullsock, snd_cwnd, srtt_us, cb_flags; };
struct sk_msg_md { u8 *data, *data_end; u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, size; struct bpf_sock *sk; };
struct sk_reuseport_md { u8 *data, *data_end; u32 len, eth_protocol, ip_protocol, bind_inany, hash; struct bpf_sock *sk, *migrating_sk; };
struct __sk_buff { u32 len; };
static long (*get_retval)(void) = (void *)186;
static long (*set_retval)(int value) = (void *)187;
static long (*setsockopt)(void *ctx, int level, int name, void *value, int size) = (void *)49;
static long (*getsockopt)(void *ctx, int level, int name, void *value, int size) = (void *)57;
static long (*cb_flags_set)(void *ctx, int flags) = (void *)59;
static u64 (*cookie)(void *ctx) = (void *)46;
static long (*bind_)(void *ctx, void *address, int size) = (void *)64;
static long (*sysctl_name)(void *ctx, char *to, u64 size, u64 flags) = (void *)101;
static long (*sysctl_current)(void *ctx, char *to, u64 size) = (void *)102;
static long (*sysctl_new)(void *ctx, char *to, u64 size) = (void *)103;
static long (*sysctl_set)(void *ctx, const char *from, u64 size) = (void *)104;
static long (*apply)(void *msg, u32 bytes) = (void *)61;
static long (*cork)(void *msg, u32 bytes) = (void *)62;
static long (*pull)(void *msg, u32 from, u32 to, u64 flags) = (void *)63;
static long (*push)(void *msg, u32 at, u32 size, u64 flags) = (void *)90;
static long (*pop)(void *msg, u32 at, u32 size, u64 flags) = (void *)91;
static long (*msg_redirect)(void *msg, void *map, u32 key, u64 flags) = (void *)60;
static long (*select_reuseport)(void *ctx, void *map, void *key, u64 flags) = (void *)82;
static long (*load_bytes)(void *ctx, u32 at, void *to, u32 size) = (void *)26;
struct { __uint(type, 20); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 8); } listeners SEC(".maps");
struct { __uint(type, 15); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 8); } streams SEC(".maps");
s64 out[8]; char text[64], text2[64], text3[16];

SEC("cgroup/dev") int device(struct bpf_cgroup_dev_ctx *ctx) {
  if (ctx->major == 1 && ctx->minor == 3) return 1;
  if (ctx->major == 5) set_retval(-13);
  out[0] = get_retval();
  return 0; }
SEC("cgroup/sock_create") int create(struct bpf_sock *ctx) { out[0] = cookie(ctx); ctx->mark = ctx->protocol; ctx->priority = 7; return ctx->type == 1; }
SEC("cgroup/connect4") int connect(struct bpf_sock_addr *ctx) {
  struct { u16 family, port; u32 address; u64 zero; } from = { 2, 0x3412, 0x0100007f, 0 };
  u32 mark = 9, back = 0;
  out[0] = bind_(ctx, &from, sizeof from); out[1] = bind_(ctx, &from, 8);
  out[2] = setsockopt(ctx, 1, 36, &mark, 4); out[3] = getsockopt(ctx, 1, 36, &back, 4); out[4] = back;
  out[5] = setsockopt(ctx, 1, 36, &mark, 2); out[6] = cookie(ctx);
  if (!ctx->sk) return 0;
  out[7] = ctx->sk->src_ip4;
  ctx->user_ip4 = 0x0a00000a; ctx->user_port = 0x5000; return 1; }
SEC("cgroup/getsockopt") int getopt(struct bpf_sockopt *ctx) {
  u8 *value = ctx->optval;
  if (value + 4 > (u8 *)ctx->optval_end) { ctx->optlen = 99; return 1; }
  out[0] = get_retval(); value[0] = 42; ctx->optlen = 4; ctx->retval = 0;
  return 1; }
SEC("cgroup/setsockopt") int setopt(struct bpf_sockopt *ctx) { if (ctx->level == 1) return 0; ctx->optlen = -1; return 1; }
SEC("cgroup/sysctl") int sysctl(struct bpf_sysctl *ctx) {
  out[0] = sysctl_name(ctx, text, 64, 0); out[1] = sysctl_name(ctx, text2, 64, 1); out[2] = sysctl_name(ctx, text3, 5, 0);
  out[3] = sysctl_current(ctx, text3, 16); out[4] = sysctl_new(ctx, text, 3);
  out[5] = sysctl_set(ctx, "600", 3);
  return 1; }
SEC("sockops") int ops(struct bpf_sock_ops *ctx) {
  char name[8] = "reno", back[16] = {};
  out[0] = cb_flags_set(ctx, 0x105); out[1] = ctx->cb_flags; out[2] = setsockopt(ctx, 6, 13, name, 5); out[3] = getsockopt(ctx, 6, 13, back, 16);
  out[4] = back[3]; out[5] = setsockopt(ctx, 6, 9999, name, 4);
  *(u32 *)&ctx->args = 77; return ctx->op == 3; }
SEC("sockops") int keep(struct bpf_sock_ops *ctx) {
  u32 zero = 0; void *sk = *(void *volatile *)((u8 *)ctx + 184);
  out[0] = sk ? ((long (*)(void *map, void *key, void *value, u64 flags))2)(&streams, &zero, sk, 0) : 1;
  return 1; }
SEC("sk_msg") int message(struct sk_msg_md *ctx) {
  out[0] = ctx->size; apply(ctx, 5); cork(ctx, 6);
  out[1] = push(ctx, 1, 2, 0); out[2] = pop(ctx, 0, 1, 0); out[3] = pull(ctx, 0, 100, 0); out[4] = pull(ctx, 0, 3, 0);
  u8 *data = ctx->data; if (data + 3 > ctx->data_end) return 0;
  data[0] = 'x'; out[5] = ctx->size;
  return msg_redirect(ctx, &streams, 1, 0); }
SEC("sk_skb/stream_parser") int parser(struct __sk_buff *ctx) { return ctx->len - 1; }
SEC("sk_reuseport") int reuseport(struct sk_reuseport_md *ctx) {
  u16 port = 0; u32 key = ctx->hash & 3;
  out[0] = load_bytes(ctx, 2, &port, 2); out[1] = port; out[2] = load_bytes(ctx, 8, &port, 2); out[3] = cookie(ctx->sk);
  out[4] = select_reuseport(ctx, &listeners, &key, 0);
  return out[4] == 0; }
char _license[] SEC("license") = "GPL";`;

/** A context of 32-bit words by index. */
function words(count: number, values: Readonly<Record<number, number>>): Uint8Array {
  const context = new Uint32Array(count);
  for (const [at, value] of Object.entries(values)) context[Number(at)] = value;
  return new Uint8Array(context.buffer);
}
const u32 = (bytes: Uint8Array | undefined, word: number) =>
  new DataView(bytes!.buffer, bytes!.byteOffset).getUint32(word * 4, true);
const text = (value: string) => new TextEncoder().encode(value);

describe.skipIf(clangs.length === 0)(`contexts${noClang}`, () => {
  const bytes = clangs.length === 0 ? new Uint8Array() : compileBpf(source);
  let object: UserObject | undefined;
  afterEach(() => object?.close());
  for (const engine of ['jit', 'interpreter'] as const) {
    const loaded = async (name: string, unverified = false) => {
      object = await load(bytes, { engine, seed: 1n, programs: [name], unverified });
      const { programs, maps, runtime } = object;
      const out = () =>
        [...(maps['.bss']!.get(0) as unknown as { out: bigint[] }).out].map((value) =>
          Number(BigInt.asIntN(64, value)),
        );
      const chars = (field: string) =>
        Buffer.from(
          (maps['.bss']!.get(0) as unknown as Record<string, number[]>)[field]!.map((byte) => byte & 255),
        ).toString('latin1');
      return { program: programs[name]!, out, chars, runtime, maps };
    };

    describe(engine, () => {
      it('devices: verdict and errno', async () => {
        const { program, out } = await loaded('device');
        expect(program.run({ context: words(3, { 1: 1, 2: 3 }) })).toMatchObject({ returnValue: 1, systemCall: 0 });
        expect(program.run({ context: words(3, { 1: 7 }) })).toMatchObject({ returnValue: 0, systemCall: -1 });
        expect(out()[0]).toBe(0);
        expect(program.run({ context: words(3, { 1: 5 }) })).toMatchObject({ returnValue: 0, systemCall: -13 });
        expect(out()[0]).toBe(-13);
        expect(() => program.run({ data: new Uint8Array(4) })).toThrow('EINVAL');
        expect(() => program.run({ context: words(4, { 3: 1 }) })).toThrow('E2BIG');
      });

      it('sockets', async () => {
        const { program, out } = await loaded('create');
        const { context, systemCall } = program.run({ context: words(20, { 1: 2, 2: 1, 3: 6 }) });
        expect([u32(context, 4), u32(context, 5), systemCall, out()[0]]).toEqual([6, 7, 0, 1]);
        expect(program.run({ context: words(20, { 2: 2 }) }).systemCall).toBe(-1);
      });

      it('addresses, with options and binding of the socket', async () => {
        const { program, out, runtime } = await loaded('connect');
        const context = words(18, { 0: 2, 1: 0x01020304, 6: 0x3500, 7: 2, 8: 1, 9: 6 });
        const result = program.run({ context });
        expect([u32(result.context, 1), u32(result.context, 6), result.systemCall]).toEqual([0x0a00000a, 0x5000, 0]);
        expect(out()).toEqual([0, -22, 0, 0, 9, -22, 1, 0x0100007f]);
        const socket = createSocket(runtime, { cookie: 99n });
        program.run({ context, socket: socket.address });
        expect(out()[6]).toBe(99);
        expect(runtime.view().getUint32(socket.address + 16, true)).toBe(9);
        expect(() => program.run({ context: words(18, { 16: 1 }) })).toThrow('EINVAL: sk of struct bpf_sock_addr');
      });

      it('socket options', async () => {
        const get = await loaded('getopt');
        const asked = words(10, { 6: 1, 7: 2, 8: 8, 9: -5 >>> 0 });
        expect(get.program.run({ context: asked, data: new Uint8Array(8) })).toMatchObject({
          systemCall: 0,
          data: Uint8Array.of(42, 0, 0, 0),
        });
        expect(get.out()[0]).toBe(-5);
        expect(get.program.run({ context: words(10, {}), data: new Uint8Array(2) }).systemCall).toBe(-14);
        object!.close();
        const set = await loaded('setopt');
        expect(set.program.run({ context: words(10, { 6: 1 }) }).systemCall).toBe(-1);
        expect(set.program.run({ context: words(10, { 6: 2 }), data: new Uint8Array(4) }).systemCall).toBe(0);
      });

      it('sysctl', async () => {
        const { program, out, chars } = await loaded('sysctl');
        const result = program.run({
          context: words(2, { 0: 1 }),
          data: text('net/ipv4/tcp_mem\x001 2 3\n\x00400 500'),
        });
        expect(out().slice(0, 6)).toEqual([16, 7, -7, 6, -7, 0]);
        expect([chars('text').slice(0, 3), chars('text2').slice(0, 8), chars('text3').slice(0, 7)]).toEqual([
          '40\0',
          'tcp_mem\0',
          '1 2 3\n\0',
        ]);
        expect([Buffer.from(result.data!).toString(), result.systemCall]).toEqual(['600', 0]);
        program.run({ context: words(2, {}), data: text('kernel/x\x00') });
        expect(out().slice(3, 6)).toEqual([-22, -22, -22]);
      });

      it('events of TCP', async () => {
        const { program, out } = await loaded('ops');
        const result = program.run({ context: words(56, { 0: 3, 5: 2, 18: 1 }) });
        expect(out().slice(0, 6)).toEqual([0x100, 5, 0, 0, 'o'.charCodeAt(0), -22]);
        expect([result.returnValue, u32(result.context, 1)]).toEqual([1, 77]);
        program.run({ context: words(56, { 0: 3 }) });
        expect(out()[0]).toBe(-22);
      });

      it('sockets of a run alone do not go into maps that outlive it, those that user space made do', async () => {
        const { program, out, runtime, maps } = await loaded('keep', true);
        for (let run = 0; run < 3; run++) {
          program.run({ data: new Uint8Array(20) });
          expect(out()[0]).toBe(-95);
        }
        const socket = createSocket(runtime, { cookie: 99n });
        for (let run = 0; run < 3; run++) {
          program.run({ data: new Uint8Array(20), socket: socket.address });
          expect(out()[0]).toBe(0);
        }
        expect(maps['streams']!.get(0)).toBe(99n);
      });

      it('messages', async () => {
        const { program, out, runtime, maps } = await loaded('message');
        expect(program.run({ data: text('abcdef') })).toMatchObject({ returnValue: 0, message: { apply: 5, cork: 6 } });
        expect(out().slice(0, 6)).toEqual([6, 0, 0, -22, 0, 7]);
        const socket = createSocket(runtime);
        maps['streams']!.raw.update(Uint8Array.of(1, 0, 0, 0), new Uint8Array(Uint32Array.of(socket.id, 0).buffer));
        const result = program.run({ data: text('abcdef') });
        expect([result.returnValue, result.redirectMap?.key, Buffer.from(result.data!).toString()]).toEqual([
          1,
          1,
          'x\0bcdef',
        ]);
      });

      it('streams', async () => {
        const { program } = await loaded('parser');
        expect(program.run({ data: text('hello') })).toMatchObject({ returnValue: 4, data: text('hello') });
      });

      it('sockets that share a port', async () => {
        const { program, out, runtime, maps } = await loaded('reuseport');
        const socket = createSocket(runtime, { protocol: 'udp', reuseport: true });
        maps['listeners']!.raw.update(Uint8Array.of(2, 0, 0, 0), new Uint8Array(Uint32Array.of(socket.id, 0).buffer));
        const data = Uint8Array.of(0, 53, 0x12, 0x34, 0, 8, 0, 0);
        const context = (protocol: number) => words(14, { 5: 8, 6: protocol, 8: 2 });
        const result = program.run({ data, context: context(17) });
        expect([result.returnValue, result.socket]).toEqual([1, socket.address]);
        expect(out().slice(0, 5)).toEqual([0, 0x3412, -14, 1, 0]);
        expect(program.run({ data, context: context(6) }).socket).toBeUndefined();
        expect(out()[4]).toBe(-91);
        program.run({ data, context: words(14, { 5: 8, 6: 17, 8: 1 }) });
        expect(out()[4]).toBe(-2);
      });
    });
  }
});
