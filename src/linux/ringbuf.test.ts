import { describe, expect, it } from 'vitest';
import { assemble } from '../isa/assembler.ts';
import { RecordStream } from '../runtime/maps/record-stream.ts';
import { createMap } from './bpf-maps.ts';
import { bpfRefusal } from './features.ts';
import { close } from './ffi.ts';
import { loadRaw } from './programs.ts';
import { KernelRingbuf } from './ringbuf.ts';

const refusal = bpfRefusal();
const SIZE = 4096;
const packet = new Uint8Array(64);

describe.skipIf(refusal !== undefined)(
  `kernel ring buffer${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  () => {
    /** A ring, and a program that puts `length` bytes of its packet's start into it with the given finishing helper. */
    function withRing<T>(
      length: number,
      finish: 'submit' | 'discard',
      body: (ring: KernelRingbuf, put: () => number) => T,
    ): T {
      const map = createMap({ type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: SIZE });
      const text = `
      r6 = *(u32 *)(r1 + 0)
      r7 = *(u32 *)(r1 + 4)
      r1 = 0 ll
      r2 = ${length}
      r3 = 0
      call 131
      if r0 == 0 goto full
      r2 = 0
      r3 = r6
      r3 += 8
      if r3 > r7 goto put
      r2 = *(u64 *)(r6 + 0)
      put:
      *(u64 *)(r0 + 0) = r2
      r1 = r0
      r2 = 0
      call ${finish === 'submit' ? 132 : 133}
      r0 = 1
      exit
      full:
      r0 = 2
      exit`;
      const insns = assemble(text, { syntax: 'llvm' }).insns.map((insn) =>
        insn.opcode === 0x18 ? { ...insn, src: 1, imm: map } : insn,
      );
      const program = loadRaw(insns, 'xdp');
      const ring = new KernelRingbuf(map, SIZE);
      let next = 0;
      const put = () => {
        new DataView(packet.buffer).setUint32(0, next++, true);
        return program.run({ data: packet }).returnValue;
      };
      const end = () => {
        ring.close();
        program.close();
        close(map);
      };
      const result = body(ring, put);
      if (result instanceof Promise) return result.finally(end) as T; // the same promise, with an end
      end();
      return result;
    }

    const number = (record: Uint8Array) => new DataView(record.buffer, record.byteOffset).getUint32(0, true);

    it('gives each record once and in order, many times around', () => {
      withRing(20, 'submit', (ring, put) => {
        expect(ring.take()).toBeUndefined();
        let expected = 0;
        for (let round = 0; round < 300; round++) {
          for (let i = 0; i < 1 + (round % 7); i++) expect(put()).toBe(1);
          for (let record = ring.take(); record !== undefined; record = ring.take()) {
            expect(record).toHaveLength(20);
            expect(number(record)).toBe(expected++);
          }
        }
        expect(expected).toBeGreaterThan((4 * SIZE) / 32);
        expect(ring.pending).toBe(0);
      });
    });

    it('makes room only as records are taken', () => {
      withRing(1000, 'submit', (ring, put) => {
        expect([put(), put(), put(), put(), put()]).toEqual([1, 1, 1, 1, 2]);
        expect(number(ring.take()!)).toBe(0);
        expect([put(), put()]).toEqual([1, 2]);
        expect(ring.pending).toBe(4 * 1008);
      });
    });

    it('passes over discarded records', () => {
      withRing(40, 'discard', (ring, put) => {
        for (let i = 0; i < 200; i++) {
          expect(put()).toBe(1);
          expect(ring.take()).toBeUndefined();
        }
      });
    });

    it('wakes those who wait, and lets them go when it is closed', async () => {
      await withRing(16, 'submit', async (ring, put) => {
        const stream = new RecordStream(ring, number);
        const seen: number[] = [];
        const reader = (async () => {
          for await (const event of stream.events()) seen.push(event);
        })();
        for (let i = 0; i < 3; i++) {
          put();
          await new Promise((resolve) => setTimeout(resolve, 30));
        }
        expect(seen).toEqual([0, 1, 2]);
        ring.close();
        await reader;
        expect(ring.take()).toBeUndefined();
      });
    });

    it('stops waiting at a signal', async () => {
      await withRing(16, 'submit', async (ring) => {
        const stop = new AbortController();
        const reader = new RecordStream(ring, number).events({ signal: stop.signal }).next();
        stop.abort();
        expect(await reader).toEqual({ done: true, value: undefined });
        expect(ring.isOpen).toBe(true);
      });
    });

    it('is where another reader left it', () => {
      const map = createMap({ type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: SIZE });
      const first = new KernelRingbuf(map, SIZE);
      first.close();
      first.close();
      expect(first.take()).toBeUndefined();
      const second = new KernelRingbuf(map, SIZE);
      expect(second.pending).toBe(0);
      second.close();
      close(map);
    });
  },
);
