/** Files, buffers and rings of buffers that a ring keeps, on the kernel's io_uring. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Completion } from '../src/hooks/ring/completion.ts';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { BufferRing, type FilledPart } from '../src/hooks/ring/registered/buffer-ring.ts';
import { RegisteredBuffers } from '../src/hooks/ring/registered/buffers.ts';
import { RegisteredFiles } from '../src/hooks/ring/registered/files.ts';
import { RequestError } from '../src/hooks/ring/request-error.ts';
import { Ring } from '../src/ring.ts';
import { noRing, skipped, Testbed } from './ring-testbed.ts';

class Bed extends Testbed {
  ring!: Ring;

  async open(): Promise<void> {
    this.ring = await Ring.create({ runtime: this.runtime, entries: 64 });
    this.ring.setGroup(0, { parallel: true });
  }

  closeRing(): Promise<void> {
    return this.ring.close();
  }

  /** All completions of a request, with the name of the error that ended it. */
  async completions(write: (view: DataView, at: number) => void): Promise<{ all: Completion[]; error?: string }> {
    const all: Completion[] = [];
    try {
      for await (const completion of this.ring.stream('request', write)) all.push(completion);
    } catch (error) {
      if (error instanceof RequestError) return { all, error: error.errno };
      throw error;
    }
    return { all };
  }

  async completion(write: (view: DataView, at: number) => void): Promise<Completion> {
    const { all, error } = await this.completions(write);
    expect([all.length, error]).toEqual([1, undefined]);
    return all[0]!;
  }
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe.skipIf(noRing !== undefined)(`what a ring keeps${skipped}`, () => {
  let bed!: Bed;
  beforeEach(async () => {
    bed = new Bed();
    await bed.open();
  });
  afterEach(() => bed.close());

  describe('files', () => {
    it('are put into slots, used, replaced, emptied', async () => {
      const { ring } = bed;
      const files = new RegisteredFiles(ring.memory, ring.backend, 8);
      const one = bed.file('one', 'first');
      const two = bed.file('two', 'second!');
      files.set(3, one, two);
      bed.shut(one);
      const at = bed.allocate(64);
      const read = (slot: number) =>
        ring.request('read', (v, a) => prep.read(v, a, slot, at, 64, 0, { fixedFile: true }));
      expect([await read(3), await read(4)]).toEqual([5, 7]);
      await expect(read(0)).rejects.toMatchObject({ errno: 'EBADF' });
      files.set(3, two);
      expect(await read(3)).toBe(7);
      files.set(3, -1);
      await expect(read(3)).rejects.toMatchObject({ errno: 'EBADF' });
      files.close();
      await expect(read(4)).rejects.toMatchObject({ errno: 'EBADF' });
    });

    it('are opened into slots that the kernel picks, from a range', async () => {
      const { ring } = bed;
      const files = new RegisteredFiles(ring.memory, ring.backend, 8);
      bed.file('file', '');
      files.allocateFrom(5, 2);
      const path = ring.memory.text(bed.path('file'));
      const open = () => ring.request('openat', (v, a) => prep.openat(v, a, path.address, 0, 0, { slot: 'alloc' }));
      expect([await open(), await open()].sort()).toEqual([5, 6]);
      await expect(open()).rejects.toMatchObject({ errno: 'ENFILE' });
      await ring.request('close', (v, a) => prep.closeDirect(v, a, 5));
      expect(await open()).toBe(5);
      path.free();
      files.close();
    });

    it('are refused where they cannot be', () => {
      const { memory, backend } = bed.ring;
      for (const slots of [0, 2 ** 21, 1.5])
        expect(() => new RegisteredFiles(memory, backend, slots)).toThrow(
          expect.objectContaining({ code: 'SLUICE_RING_SLOTS' }),
        );
      const files = new RegisteredFiles(memory, backend, 2);
      expect(() => new RegisteredFiles(memory, backend, 2)).toThrow(expect.objectContaining({ errno: 'EBUSY' }));
      expect(() => files.set(1, 1, 2)).toThrow(expect.objectContaining({ code: 'SLUICE_RING_SLOTS' }));
      expect(() => files.set(0, 12345)).toThrow(expect.objectContaining({ errno: 'EBADF' }));
      expect(() => files.set(0, 0, 12345)).toThrow(expect.objectContaining({ errno: 'EBADF' }));
      files.close();
      expect(() => files.set(0, 1)).toThrow(expect.objectContaining({ code: 'SLUICE_RING_SLOTS' }));
      new RegisteredFiles(memory, backend, 2).close();
    });
  });

  describe('buffers', () => {
    it('are read into and written from, and replaced', async () => {
      const { ring } = bed;
      const [first, second] = [ring.memory.allocate(4096), ring.memory.allocate(100_000)] as const;
      const buffers = new RegisteredBuffers(ring.memory, ring.backend, [first, second]);
      const file = bed.file('file', 'registered');
      expect(await ring.readFixed(file, second, 1, { offset: 0 })).toBe(10);
      expect(text(second.bytes.subarray(0, 10))).toBe('registered');
      expect(await ring.writeFixed(file, second.slice(0, 10), 1, { offset: 10 })).toBe(10);
      expect(readFileSync(bed.path('file'), 'utf8')).toBe('registeredregistered');
      await expect(ring.readFixed(file, first, 1, { offset: 0 })).rejects.toMatchObject({ errno: 'EFAULT' });
      buffers.set(1, first);
      expect(await ring.readFixed(file, first, 1, { offset: 0 })).toBe(20);
      buffers.set(0, undefined);
      await expect(ring.readFixed(file, first, 0, { offset: 0 })).rejects.toMatchObject({ errno: 'EFAULT' });
      buffers.close();
      first.free();
      second.free();
    });

    it('are refused where they cannot be', () => {
      const { memory, backend } = bed.ring;
      const code = { code: 'SLUICE_RING_BUFFERS' };
      expect(() => new RegisteredBuffers(memory, backend, [])).toThrow(expect.objectContaining(code));
      const empty = { address: 4096, length: 0 };
      expect(() => new RegisteredBuffers(memory, backend, [empty])).toThrow(expect.objectContaining(code));
      const nowhere = { address: 8192n, length: 4096 };
      expect(() => new RegisteredBuffers(memory, backend, [nowhere])).toThrow(
        expect.objectContaining({ errno: 'EFAULT' }),
      );
    });
  });

  describe('rings of buffers', () => {
    it('give a buffer to each arrival of a multishot recv, again and again', async () => {
      const { ring } = bed;
      const [one, other] = bed.sockets();
      const buffers = new BufferRing(ring.memory, ring.backend, { group: 7, count: 4, size: 16 });
      expect(buffers.available).toBe(4);
      const arrivals = ring.stream('recv', (v, a) => prep.recv(v, a, one, 0, 0, { multishot: true, bufferSelect: 7 }));
      const seen: string[] = [];
      for (let i = 0; i < 20; i++) {
        bed.write(other, `message ${i}`);
        const { value } = await arrivals.next();
        const [part, ...rest] = buffers.take(value.res, value.flags);
        expect(rest).toEqual([]);
        seen.push(text(part!.bytes));
        expect(buffers.available).toBe(3);
        buffers.giveBack(part!.buffer);
      }
      expect(seen).toEqual([...Array(20).keys()].map((i) => `message ${i}`));
      bed.shut(other);
      const { value: end } = await arrivals.next();
      expect([end.res, end.more, buffers.take(end.res, end.flags)]).toEqual([0, false, []]);
      expect(buffers.available).toBe(4);
      buffers.close();
    });

    it('end a multishot when none is left, and say so', async () => {
      const { ring } = bed;
      const [one, other] = bed.sockets();
      const buffers = new BufferRing(ring.memory, ring.backend, { group: 8, count: 2, size: 4 });
      bed.write(other, '12345678abc');
      const recv = (v: DataView, a: number) => prep.recv(v, a, one, 0, 0, { multishot: true, bufferSelect: 8 });
      const { all, error } = await bed.completions(recv);
      expect(all.map(({ res }) => res)).toEqual([4, 4]);
      expect(error).toBe('ENOBUFS');
      const parts = all.flatMap(({ res, flags }) => buffers.take(res, flags));
      expect(parts.map(({ bytes }) => text(bytes))).toEqual(['1234', '5678']);
      expect(buffers.available).toBe(0);
      buffers.giveBack(...parts.map(({ buffer }) => buffer));
      bed.shut(other);
      const rest = (await bed.completions(recv)).all.flatMap(({ res, flags }) => buffers.take(res, flags));
      expect(rest.map(({ bytes }) => text(bytes))).toEqual(['abc']);
      buffers.close();
    });

    it('serve bundles: several buffers for one completion, in the order that they were given back', async () => {
      const { ring } = bed;
      const [one, other] = bed.sockets();
      const buffers = new BufferRing(ring.memory, ring.backend, { group: 9, count: 8, size: 4 });
      const recv = (v: DataView, a: number) => prep.recv(v, a, one, 0, 0, { bundle: true, bufferSelect: 9 });
      const received: string[] = [];
      let several = 0;
      for (const message of ['abcdefghijk', 'lm', 'nopqrstuvwxyz', '0123456789']) {
        bed.write(other, message);
        let all = '';
        while (all.length < message.length) {
          const { res, flags } = await bed.completion(recv);
          const parts = buffers.take(res, flags);
          several += parts.length > 1 ? 1 : 0;
          all += parts.map(({ bytes }) => text(bytes)).join('');
          expect(parts.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(res);
          // Not in the order of their numbers.
          buffers.giveBack(...parts.map(({ buffer }) => buffer).reverse());
        }
        received.push(all);
      }
      expect(several).toBeGreaterThan(0);
      expect(received).toEqual(['abcdefghijk', 'lm', 'nopqrstuvwxyz', '0123456789']);
      expect(buffers.available).toBe(8);
      buffers.close();
    });

    it('are filled piece by piece where they are incremental', async () => {
      const { ring } = bed;
      const [one, other] = bed.sockets();
      const buffers = new BufferRing(ring.memory, ring.backend, { group: 10, count: 2, size: 8, incremental: true });
      const recv = (v: DataView, a: number) => prep.recv(v, a, one, 0, 0, { bufferSelect: 10 });
      const parts: FilledPart[] = [];
      for (const message of ['abc', 'de', 'fgh', 'ijk']) {
        bed.write(other, message);
        const { res, flags } = await bed.completion(recv);
        parts.push(...buffers.take(res, flags));
      }
      expect(parts.map(({ bytes, done }) => [text(bytes), done])).toEqual([
        ['abc', false],
        ['de', false],
        ['fgh', true],
        ['ijk', false],
      ]);
      expect(parts[2]!.address - parts[0]!.address).toBe(5);
      expect(() => buffers.giveBack(parts[3]!.buffer)).toThrow(
        expect.objectContaining({ code: 'SLUICE_RING_BUFFERS' }),
      );
      buffers.giveBack(parts[0]!.buffer);
      buffers.close();
    });

    it('are refused where they cannot be, and give their memory back', () => {
      const { memory, backend } = bed.ring;
      const code = { code: 'SLUICE_RING_BUFFERS' };
      for (const options of [
        { group: -1, count: 2, size: 8 },
        { group: 65536, count: 2, size: 8 },
        { group: 1, count: 3, size: 8 },
        { group: 1, count: 65536, size: 8 },
        { group: 1, count: 2, size: 0 },
        { group: 1, count: 32768, size: 2 ** 20 },
      ])
        expect(() => new BufferRing(memory, backend, options)).toThrow(expect.objectContaining(code));
      const buffers = new BufferRing(memory, backend, { group: 1, count: 2, size: 8 });
      expect(() => new BufferRing(memory, backend, { group: 1, count: 2, size: 8 })).toThrow(
        expect.objectContaining({ errno: 'EEXIST' }),
      );
      expect(() => buffers.giveBack(0)).toThrow(expect.objectContaining(code));
      buffers.close();
      new BufferRing(memory, backend, { group: 1, count: 32768, size: 1 }).close();
    });
  });
});
