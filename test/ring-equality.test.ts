/** One flag moves a callback between a BPF program and a function of JavaScript: the trace of the ring shows the same effects. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RingContext } from '../src/hooks/ring/context.ts';
import { effectOf, firstDifference, RingTrace, type TraceRecord } from '../src/hooks/ring/trace.ts';
import { load } from '../src/index.ts';
import {
  IORING_OP_BPF,
  LINK_SHORT_OK,
  RING_AGAIN,
  RING_BREAK,
  RING_FINALLY,
  RING_POST,
} from '../src/plane/layout/ring.ts';
import {
  SQE_CALLBACK,
  SQE_CQ,
  SQE_EXTRA,
  SQE_FLAGS,
  SQE_LEN,
  SQE_OFF,
  SQE_OP_FLAGS,
  SQE_OPCODE,
  SQE_USER_DATA,
} from '../src/plane/layout/sqe.ts';
import { isArray } from '../src/runtime/handles.ts';
import { clangs, compileBpf, noClang } from './clang.ts';
import { noRing, RingBed, skipped, sqe, type Writer } from './ring-testbed.ts';

/** Requests that may still be emitted when a run begins. */
const MOST = 300;

const source = `
#include <sluice/ring.h>
enum { STEP = 1, GATHER = 2, OWN_QUEUE = 1, MOST = ${MOST} };
/* Alone in .data. */
__u32 seed = 1;
__u32 emitted;

static __always_inline __u32 next(__u32 below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % below;
}

static __always_inline __s64 nop(struct io_uring_bpf_ctx *ctx, __s32 res, __u8 flags, __u8 extra, __u16 queue)
{
	struct io_uring_sqe sqe;

	io_uring_prep_nop(&sqe);
	sqe.len = (__u32)res;
	sqe.nop_flags = 1;
	sqe.flags = flags;
	sqe.extra = extra;
	sqe.callback = queue ? 0 : STEP;
	sqe.cq_idx = queue;
	sqe.user_data = ++emitted;
	return bpf_ring_submit(ctx, &sqe, sizeof(sqe));
}

SEC("iouring/step")
int step(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_cqe cqe;
	struct io_uring_sqe sqe;
	__u32 action = next(10);
	__u32 verdict = next(4);

	if (emitted < MOST) {
		if (action == 0) {
			nop(ctx, ctx->res + 1, 0, 0, 0);
		} else if (action == 1) {
			nop(ctx, next(2) ? -5 : 7, IOSQE_IO_LINK, 0, 0);
			nop(ctx, 8, IOSQE_IO_LINK, 0, 0);
			nop(ctx, 9, 0, RING_FINALLY, 0);
		} else if (action == 2) {
			__s64 first = nop(ctx, next(2) ? -6 : 1, 0, 0, 0);
			__s64 second = nop(ctx, 2, 0, 0, 0);
			bpf_ring_emit(ctx, 0, 2000, (__s32)bpf_ring_link(ctx, first, second, RING_LINK_SHORT_OK), 0);
			if (next(3) == 0)
				bpf_ring_emit(ctx, 0, 2001, (__s32)bpf_ring_unlink(ctx, first, second), 0);
		} else if (action == 3) {
			bpf_ring_emit(ctx, 0, 3000 + emitted, ctx->res, ctx->chain);
		} else if (action == 4) {
			bpf_ring_emit(ctx, OWN_QUEUE, 4000 + emitted, ctx->res, 0);
			nop(ctx, 40, 0, 0, OWN_QUEUE);
		} else if (action == 5) {
			__s64 request = nop(ctx, 5, 0, 0, 0);
			bpf_ring_emit(ctx, 0, 5000, (__s32)bpf_ring_drop(ctx, request, next(2)), 0);
			bpf_ring_emit(ctx, 0, 5001, (__s32)bpf_ring_drop(ctx, request, 0), 0);
		} else if (action == 6) {
			io_uring_prep_bpf(&sqe, GATHER - 1, 6000 + emitted, 1 + next(2), OWN_QUEUE);
			bpf_ring_submit(ctx, &sqe, sizeof(sqe));
			nop(ctx, 60, 0, 0, OWN_QUEUE);
		} else if (action == 7) {
			__s64 got = bpf_ring_chain_cqe(ctx, -1, &cqe, sizeof(cqe));
			bpf_ring_emit(ctx, 0, 7000, (__s32)got, 0);
			if (got == 0)
				bpf_ring_emit(ctx, 0, cqe.user_data, cqe.res, 0);
			nop(ctx, 70, 0, 0, 0);
		} else if (action == 8) {
			__s64 request = nop(ctx, 80, 0, 0, 0);
			io_uring_prep_nop(&sqe);
			sqe.user_data = 8000;
			sqe.callback = STEP;
			bpf_ring_emit(ctx, 0, 8001, (__s32)bpf_ring_change(ctx, request, &sqe, sizeof(sqe)), 0);
		} else {
			bpf_ring_escalate(ctx, 90 + next(3));
			bpf_ring_emit(ctx, 77, 9000, 0, 0);
			nop(ctx, 91, 0, 0, 0);
			if (next(4) == 0)
				return RING_AGAIN;
		}
	}
	return verdict == 0 ? RING_DONE : verdict == 1 ? RING_POST | RING_BREAK : RING_POST;
}

SEC("iouring/gather")
int gather(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_cqe cqe;
	__s32 sum = 0;

	for (int i = 0; i < 4; i++)
		if (bpf_ring_reap(ctx, OWN_QUEUE, &cqe, sizeof(cqe)) == 0)
			sum += cqe.res;
	bpf_ring_emit(ctx, 0, ctx->user_data, sum, bpf_ring_queue_ready(ctx, OWN_QUEUE));
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
`;

const STEP = 1;
const GATHER = 2;
const OWN_QUEUE = 1;
const IO_LINK = 4;

/** The same in JavaScript. */
class Functions {
  seed: number;
  emitted = 0;

  constructor(seed: number) {
    this.seed = seed;
  }

  next(below: number): number {
    this.seed = (Math.imul(this.seed, 1103515245) + 12345) >>> 0;
    return (this.seed >>> 16) % below;
  }

  nop(context: RingContext, res: number, flags = 0, extra = 0, queue = 0): bigint {
    this.emitted++;
    return context.submit((view, at) => {
      sqe('nop', { result: res })(view, at);
      view.setUint8(at + SQE_FLAGS, flags);
      view.setUint8(at + SQE_EXTRA, extra);
      view.setUint16(at + SQE_CALLBACK, queue === 0 ? STEP : 0, true);
      view.setUint16(at + SQE_CQ, queue, true);
      view.setUint32(at + SQE_USER_DATA, this.emitted, true);
    });
  }

  readonly step = (context: RingContext): number => {
    const action = this.next(10);
    const verdict = this.next(4);
    if (this.emitted < MOST) {
      if (action === 0) this.nop(context, context.res + 1);
      else if (action === 1) {
        this.nop(context, this.next(2) !== 0 ? -5 : 7, IO_LINK);
        this.nop(context, 8, IO_LINK);
        this.nop(context, 9, 0, RING_FINALLY);
      } else if (action === 2) {
        const first = this.nop(context, this.next(2) !== 0 ? -6 : 1);
        const second = this.nop(context, 2);
        context.emit(0, 2000n, context.link(first, second, LINK_SHORT_OK));
        if (this.next(3) === 0) context.emit(0, 2001n, context.unlink(first, second));
      } else if (action === 3) context.emit(0, BigInt(3000 + this.emitted), context.res, context.chain);
      else if (action === 4) {
        context.emit(OWN_QUEUE, BigInt(4000 + this.emitted), context.res);
        this.nop(context, 40, 0, 0, OWN_QUEUE);
      } else if (action === 5) {
        const request = this.nop(context, 5);
        context.emit(0, 5000n, context.drop(request, this.next(2)));
        context.emit(0, 5001n, context.drop(request, 0));
      } else if (action === 6) {
        const userData = 6000 + this.emitted;
        const count = 1 + this.next(2);
        context.submit((view, at) => {
          view.setUint8(at + SQE_OPCODE, IORING_OP_BPF);
          view.setInt32(at + 4, -1, true);
          view.setUint32(at + SQE_OFF, GATHER - 1, true);
          view.setUint32(at + SQE_LEN, count, true);
          view.setUint32(at + SQE_OP_FLAGS, OWN_QUEUE, true);
          view.setUint32(at + SQE_USER_DATA, userData, true);
        });
        this.nop(context, 60, 0, 0, OWN_QUEUE);
      } else if (action === 7) {
        const before = context.chainCompletion(-1);
        context.emit(0, 7000n, before === undefined ? -2 : 0);
        if (before !== undefined) context.emit(0, before.userData, before.res);
        this.nop(context, 70);
      } else if (action === 8) {
        const request = this.nop(context, 80);
        const changed = context.change(request, (view, at) => {
          sqe('nop', { userData: 8000, callback: STEP })(view, at);
        });
        context.emit(0, 8001n, changed);
      } else {
        context.escalate(90 + this.next(3));
        context.emit(77, 9000n, 0);
        this.nop(context, 91);
        if (this.next(4) === 0) return RING_AGAIN;
      }
    }
    return verdict === 0 ? 0 : verdict === 1 ? RING_POST | RING_BREAK : RING_POST;
  };

  readonly gather = (context: RingContext): number => {
    let sum = 0;
    for (let i = 0; i < 4; i++) sum += context.reap(OWN_QUEUE)?.res ?? 0;
    context.emit(0, context.userData, sum, context.queueReady(OWN_QUEUE));
    return 0;
  };
}

type Way = 'jit' | 'interpreter' | 'function';

describe.skipIf(noRing !== undefined || clangs.length === 0)(`programs and functions${skipped}${noClang}`, () => {
  let object: Uint8Array;
  beforeAll(() => {
    object = compileBpf(source, { flags: ['-I', join(import.meta.dirname, '..', 'bpf', 'include')] });
  });
  const beds: RingBed[] = [];
  afterAll(async () => {
    for (const bed of beds) await bed.closeRing();
  });

  async function traceOf(way: Way, seed: number): Promise<readonly TraceRecord[]> {
    const bed = RingBed.open({ budget: { requests: 8 } });
    beds.push(bed);
    const { ring } = bed;
    expect(ring.createQueue({ entries: 4, visible: false }).index).toBe(OWN_QUEUE);
    if (way === 'function') {
      const functions = new Functions(seed);
      expect(ring.programs.add('step', functions.step)).toBe(STEP);
      expect(ring.programs.add('gather', functions.gather)).toBe(GATHER);
    } else {
      const loaded = await load(object, { runtime: ring.runtime, engine: way });
      const numbers = ring.programs.attach(loaded);
      expect([numbers.get('step'), numbers.get('gather')]).toEqual([STEP, GATHER]);
      const { '.data': data } = loaded.maps;
      if (data === undefined || !isArray(data)) throw new Error('no .data');
      new DataView(data.bytes().buffer, data.bytes().byteOffset).setUint32(0, seed, true);
    }
    const trace = new RingTrace(ring);
    const first = (i: number): Writer => sqe('nop', { result: i, userData: 100_000 + i, callback: STEP });
    bed.stage(sqe('program', GATHER - 1, 3, OWN_QUEUE, { userData: 200_000 }));
    for (let round = 0; round < 20; round++) {
      bed.stage(...Array.from({ length: 8 }, (_, i) => first(8 * round + i)));
      do bed.take(0);
      while (ring.issued > 0);
    }
    const records = trace.take();
    expect(trace.lost).toBe(0);
    trace.close();
    return records;
  }

  for (const seed of [1, 2, 3, 2026])
    it(`give the same trace from seed ${seed}`, async () => {
      const byFunction = await traceOf('function', seed);
      const kinds = new Set(byFunction.map(({ kind }) => kind));
      expect(byFunction.filter(({ kind }) => kind === 'run').length).toBeGreaterThan(200);
      for (const kind of [
        'request',
        'issue',
        'complete',
        'return',
        'post',
        'cancel',
        'escalate',
        'emit',
        'reap',
        'end',
      ])
        expect(kinds, kind).toContain(kind);
      for (const way of ['jit', 'interpreter'] as const) {
        const byProgram = await traceOf(way, seed);
        const at = firstDifference(byFunction, byProgram);
        const around = (records: readonly TraceRecord[]) => records.slice(Math.max(0, at - 3), at + 3).map(effectOf);
        if (at >= 0) expect(around(byProgram), `${way}, effect ${at}`).toEqual(around(byFunction));
        expect(byProgram.length).toBe(byFunction.length);
      }
    });
});

describe.skipIf(noRing !== undefined)(`the trace of a ring${skipped}`, () => {
  it('tells one request from its beginning to its end', async () => {
    const bed = RingBed.open();
    const trace = new RingTrace(bed.ring, 16);
    expect(() => new RingTrace(bed.ring)).toThrow('traced already');
    bed.run(sqe('nop', { result: 7, userData: 5 }));
    const records = trace.take();
    expect(records.map(({ kind, userData, res }) => [kind, userData, res])).toEqual([
      ['request', 5n, 0],
      ['issue', 5n, 0],
      ['complete', 5n, 7],
      ['post', 5n, 7],
      ['end', 5n, 7],
    ]);
    expect(records.every(({ time }, i) => i === 0 || time >= records[i - 1]!.time)).toBe(true);
    bed.run(...Array.from({ length: 10 }, () => sqe('nop')));
    expect(trace.take()).toHaveLength(16);
    expect(trace.lost).toBe(34);
    trace.close();
    bed.run(sqe('nop'));
    await bed.close();
  });
});
