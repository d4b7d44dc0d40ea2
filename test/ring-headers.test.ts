// Headers and objects of rings: layouts as clang sees them against our tables, sources of 2021 as they were written, objects in the loader.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { opcodes } from '../src/abi/io-uring/opcodes.ts';
import { LOOP_OPS, LOOP_OPS_RING_FD, LOOP_OPS_SIZE } from '../src/abi/later-structs.ts';
import { ownKfuncs } from '../src/abi/own-kfuncs.ts';
import { iouring } from '../src/abi/programs/iouring.ts';
import type { Btf } from '../src/btf/types.ts';
import { UnsupportedError } from '../src/errors.ts';
import { loopStepOf } from '../src/hooks/ring/hook.ts';
import { hooksInForce, readObject } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import * as layout from '../src/plane/layout/ring.ts';
import * as sqe from '../src/plane/layout/sqe.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { clangs, compileBpf, noClang } from './clang.ts';

const path = (name: string) => fileURLToPath(new URL(`../bpf/${name}`, import.meta.url));
const ours = ['-nostdinc', `-I${path('include')}`];
const of2021 = ['-nostdinc', `-I${path('include/io_uring-2021')}`, `-I${path('include')}`];
const compile = (source: string, flags: readonly string[]) =>
  readObject(
    compileBpf(source, { flags: [...flags, '-Wall', '-Wextra', '-Werror', '-Wno-unused-variable'] }),
    'test.bpf.o',
  );

/** Byte offsets of a struct's members, those of anonymous members among them. */
function offsets(btf: Btf, id: number, base = 0): Map<string, number> {
  const found = new Map<string, number>();
  const { type } = btf.resolve(id);
  if (type?.kind !== 'struct' && type?.kind !== 'union') return found;
  for (const member of type.members) {
    const offset = base + member.bitOffset / 8;
    if (member.name !== '') found.set(member.name, offset);
    else for (const [name, at] of offsets(btf, member.type, offset)) found.set(name, at);
  }
  return found;
}

const struct = (btf: Btf, name: string) => {
  const id = btf.find(name, 'struct')!;
  return { size: btf.sizeOf(id), offsets: offsets(btf, id) };
};

describe.skipIf(clangs.length === 0)(`headers of rings${noClang}`, () => {
  it.each(['io_uring', 'io_uring_bpf', 'io_uring_loop', 'ring'])(
    'sluice/%s.h stands alone, for every clang',
    (name) => {
      for (const clang of clangs)
        expect(
          compileBpf(`#include <sluice/${name}.h>\nint value;`, {
            clang,
            flags: [...ours, '-Wall', '-Wextra', '-Werror'],
          }).length,
        ).toBeGreaterThan(0);
    },
  );

  it('have the layouts of the plane', () => {
    const { btf } = compile(
      '#include <sluice/ring.h>\n#include <sluice/io_uring_loop.h>\nstruct io_uring_sqe a; struct io_uring_cqe b; struct io_uring_bpf_ctx c; struct io_uring_bpf_ops d;',
      ours,
    );
    const request = struct(btf!, 'io_uring_sqe');
    expect(request.size).toBe(sqe.SQE_SIZE);
    for (const [name, offset] of Object.entries({
      opcode: sqe.SQE_OPCODE,
      flags: sqe.SQE_FLAGS,
      ioprio: sqe.SQE_IOPRIO,
      fd: sqe.SQE_FD,
      off: sqe.SQE_OFF,
      addr: sqe.SQE_ADDR,
      len: sqe.SQE_LEN,
      rw_flags: sqe.SQE_OP_FLAGS,
      user_data: sqe.SQE_USER_DATA,
      buf_index: sqe.SQE_BUF_INDEX,
      personality: sqe.SQE_PERSONALITY,
      file_index: sqe.SQE_FILE_INDEX,
      addr3: sqe.SQE_ADDR3,
      cq_idx: sqe.SQE_CQ,
      callback: sqe.SQE_CALLBACK,
      link_policy: sqe.SQE_POLICY,
      extra: sqe.SQE_EXTRA,
      group: sqe.SQE_GROUP,
    }))
      expect({ name, offset: request.offsets.get(name) }).toEqual({ name, offset });
    const completion = struct(btf!, 'io_uring_cqe');
    expect([completion.size, completion.offsets.get('res'), completion.offsets.get('flags')]).toEqual([
      sqe.CQE_SIZE,
      sqe.CQE_RES,
      sqe.CQE_FLAGS,
    ]);
    const context = struct(btf!, 'io_uring_bpf_ctx');
    expect(context.size).toBe(iouring.context.size);
    for (const { name, offset } of iouring.context.fields)
      expect({ name, offset: context.offsets.get(name) }).toEqual({ name, offset });
    const ops = struct(btf!, LOOP_OPS);
    expect([ops.size, ops.offsets.get('ring_fd')]).toEqual([LOOP_OPS_SIZE, LOOP_OPS_RING_FD]);
  });

  it('have the numbers of our tables', () => {
    const names = Object.keys(opcodes).map((name) => `IORING_OP_${name.toUpperCase()}`);
    const constants = {
      RING_WAIT: layout.RING_WAIT,
      RING_POST: layout.RING_POST,
      RING_BREAK: layout.RING_BREAK,
      RING_AGAIN: layout.RING_AGAIN,
      RING_LINK_EXACT: layout.LINK_EXACT,
      RING_LINK_SHORT_OK: layout.LINK_SHORT_OK,
      RING_LINK_RETRY_REST: layout.LINK_RETRY_REST,
      RING_LINK_EOF_OK: layout.LINK_EOF_OK,
      RING_LINK_ALWAYS: layout.LINK_ALWAYS,
      RING_LINK_PROGRAM: layout.LINK_PROGRAM,
      RING_LINK_PASS_LENGTH: layout.LINK_PASS_LENGTH,
      RING_LINK_PASS_OFFSET: layout.LINK_PASS_OFFSET,
      RING_LINK_PASS_FD: layout.LINK_PASS_FD,
      RING_FINALLY: layout.RING_FINALLY,
      RING_QUIET_CANCEL: layout.RING_QUIET_CANCEL,
      RING_HIDDEN: layout.RING_HIDDEN,
      IOSQE_CQE_SKIP_SUCCESS: sqe.IOSQE_CQE_SKIP_SUCCESS,
      IORING_CQE_F_MORE: sqe.CQE_F_MORE,
    };
    const expected = [...Object.values(opcodes).map(({ number }) => number), ...Object.values(constants)];
    const list = [...names, ...Object.keys(constants)];
    const { maps } = compile(`#include <sluice/ring.h>\n__u32 numbers[] = {${list.join(', ')}};`, ours);
    const { contents } = maps.get('.data')!;
    const words = contents.kind === 'bytes' ? [...new Uint32Array(contents.bytes.slice().buffer)] : [];
    expect(Object.fromEntries(list.map((name, at) => [name, words[at]]))).toEqual(
      Object.fromEntries(list.map((name, at) => [name, expected[at]])),
    );
  });

  it('declare every kfunc of rings, with as many arguments', () => {
    const text = ['ring', 'io_uring_loop'].map((name) => readFileSync(path(`include/sluice/${name}.h`), 'utf8')).join();
    for (const { name, prototype } of [...ownKfuncs.values()].filter(({ name }) =>
      /^bpf_(ring|io_?uring)_/.test(name),
    )) {
      const [, args = ''] = new RegExp(`extern [^;]*\\b${name}\\(([^)]*)\\)`).exec(text) ?? [];
      expect({ name, count: args.split(',').length }).toEqual({ name, count: prototype.split(',').length });
    }
  });

  // How programs of that time look: own pointers to helpers, padding set by hand, maps by bpf_map_def.
  it.each([
    [
      2,
      `#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <bpf/bpf_helpers.h>
struct bpf_map_def SEC("maps") arr = {.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 2, .map_flags = BPF_F_MMAPABLE};
static long (*iouring_queue_sqe)(void *ctx, struct io_uring_sqe *sqe, __u32) = (void *)164;
static long (*bpf_copy_to_user)(void *user, const void *from, __u32 size) = (void *)167;
SEC("iouring.s/") int run(struct io_bpf_ctx *outer) {
  struct io_uring_bpf_ctx *ctx = outer->u;
  struct io_uring_sqe sqe; __u32 key = 1; __u64 *value = bpf_map_lookup_elem(&arr, &key);
  sqe.opcode = IORING_OP_NOP; sqe.flags = IOSQE_IO_HARDLINK; sqe.ioprio = 0; sqe.fd = -1; sqe.off = 0; sqe.addr = 0; sqe.len = 0;
  sqe.rw_flags = 0; sqe.user_data = 0; sqe.__pad2[0] = sqe.__pad2[1] = sqe.__pad2[2] = 0; sqe.cq_idx = 2;
  if (value) *value = iouring_queue_sqe(outer, &sqe, sizeof(sqe));
  bpf_copy_to_user((void *)(unsigned long)ctx->user_data, &key, sizeof(key));
  ctx->wait_idx = 1; ctx->wait_nr = 1;
  return 0;
}
char _license[] SEC("license") = "GPL";`,
    ],
    [
      3,
      `#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#define IOSQE_FIXED_FILE (1U << IOSQE_FIXED_FILE_BIT)
struct bpf_map_def SEC("maps") arr = {.type = BPF_MAP_TYPE_ARRAY, .key_size = sizeof(u32), .value_size = sizeof(u64), .max_entries = 2};
SEC("iouring") int run(struct io_uring_bpf_ctx *ctx) {
  struct io_uring_sqe sqe; struct io_uring_cqe cqe; u32 key = 0; u64 *value = bpf_map_lookup_elem(&arr, &key); u64 secret;
  sqe.opcode = IORING_OP_WRITE; sqe.flags = IOSQE_FIXED_FILE; sqe.ioprio = 0; sqe.fd = 0; sqe.off = 0; sqe.addr = ctx->user_data;
  sqe.len = 8; sqe.rw_flags = 0; sqe.user_data = 0; sqe.buf_index = 0; sqe.personality = 0; sqe.file_index = 0;
  sqe.cq_idx = 0; sqe.__pad1 = 0; sqe.__pad2 = 0; sqe.__pad3 = 0;
  bpf_copy_from_user(&secret, sizeof(secret), (void *)(unsigned long)ctx->user_data);
  if (bpf_io_uring_reap_cqe(ctx, 1, &cqe, sizeof(cqe)) == 0 && value) *value = cqe.user_data + secret;
  if (bpf_io_uring_submit(ctx, &sqe, sizeof(sqe)) < 0 || bpf_io_uring_emit_cqe(ctx, 0, 1, 2, 0)) return IORING_BPF_OK;
  ctx->wait_idx = 1;
  ctx->wait_nr = 1;
  return IORING_BPF_WAIT;
}
char _license[] SEC("license") = "GPL";`,
    ],
  ] as const)('take programs of version %i as they are', async (version, source) => {
    const flags = [...of2021, `-DIO_URING_BPF_VERSION=${version}`];
    const object = await loadUser(new Runtime({ seed: 1n }), hooksInForce(), compile(source, flags));
    expect(object.programs.run!.type).toBe('iouring');
    expect(object.programs.run!.executable.entry).toBeGreaterThan(0);
    object.close();
  });
});

const objects = readdirSync(path('objects/ring')).filter((name) => name.endsWith('.bpf.o'));
const spec = (name: string) => readObject(readFileSync(path(`objects/ring/${name}`)), name);
const refusal = bpfRefusal();

describe('objects of rings', () => {
  it.each(objects)('%s is accepted and loads', async (name) => {
    const object = await loadUser(new Runtime({ seed: 1n }), hooksInForce(), spec(name));
    try {
      for (const program of Object.values(object.programs)) {
        expect(['iouring', 'struct_ops']).toContain(program.type);
        expect(program.executable.entry).toBeGreaterThan(0);
        expect(() => program.run({ context: new Uint8Array(64) })).toThrow(UnsupportedError);
      }
    } finally {
      object.close();
    }
  });

  it('a loop is found by its struct_ops map', async () => {
    const object = await loadUser(new Runtime({ seed: 1n }), hooksInForce(), spec('loop_nops.bpf.o'));
    const { ops, step } = loopStepOf(object);
    expect([ops.name, step.name, ops.state]).toEqual(['nops', 'loop_nops', 'init']);
    expect(loopStepOf(object, 'nops').step).toBe(step);
    expect(() => loopStepOf(object, 'other')).toThrow(expect.objectContaining({ code: 'SLUICE_RING_LOOP' }));
    object.close();
    const none = await loadUser(new Runtime({ seed: 1n }), hooksInForce(), spec('counting.bpf.o'));
    expect(() => loopStepOf(none)).toThrow(/has no loop/);
    none.close();
  });

  it.skipIf(refusal !== undefined)(
    `no kernel loads them${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
    () => {
      expect(() => loadLinux(spec('counting.bpf.o'))).toThrow(/type iouring is Sluice's own/);
      expect(() => loadLinux(spec('loop_nops.bpf.o'))).toThrow(UnsupportedError);
    },
  );

  it.skipIf(clangs.length === 0)(`methods of other structs have no place here${noClang}`, async () => {
    const other = compile(
      `#include <sluice/bpf.h>
struct tcp_congestion_ops { void (*init)(void *); };
SEC("struct_ops") int begin(unsigned long long *ctx) { return ctx[0] == 0; }
SEC(".struct_ops") struct tcp_congestion_ops ops = {.init = (void *)begin};
char _license[] SEC("license") = "GPL";`,
      ours,
    );
    await expect(loadUser(new Runtime({ seed: 1n }), hooksInForce(), other)).rejects.toThrow(
      /nothing here calls methods of struct tcp_congestion_ops/,
    );
  });
});
