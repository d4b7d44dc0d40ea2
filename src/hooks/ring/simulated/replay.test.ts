import { afterAll, describe, expect, it } from 'vitest';
import { openFlags } from '../../../abi/io-uring/call-flags.ts';
import { InputError } from '../../../errors.ts';
import { Runtime } from '../../../runtime/runtime.ts';
import type { RingBackend } from '../backend.ts';
import { SimulatedBackend } from './backend.ts';
import { chaos } from './faults.ts';
import { RawRing } from './raw-ring.ts';
import { type RingRecord, recordFromJson, recordToJson } from './record.ts';
import { RecordingBackend } from './recording-backend.ts';
import { World } from './world/index.ts';

const runtime = new Runtime({ seed: 1n });
const buffer = runtime.allocatePages(1 << 17);
const backends: RingBackend[] = [];
afterAll(async () => {
  for (const backend of backends) await backend.close();
});

/** Reads a file block by block, two at a time, and asks for its size: everything that it saw. */
function program(backend: RingBackend, block: number): unknown[] {
  backends.push(backend);
  const ring = new RawRing(backend, runtime.plane.memory);
  const seen: unknown[] = [];
  const bytes = runtime.bytes();
  bytes.fill(0, buffer, buffer + (1 << 17));
  bytes.set(new TextEncoder().encode('/file\0'), buffer);
  let fd = -4;
  while (fd < 0) fd = ring.one('openat', { fd: -100, addr: buffer, opFlags: openFlags.RDWR });
  seen.push(fd, ring.one('statx', { fd: -100, addr: buffer, off: buffer + 256, len: 0x7ff }));
  seen.push(runtime.view().getUint32(buffer + 256 + 40, true));
  for (let offset = 0; offset < 8 * block; offset += 2 * block) {
    for (const part of [0, 1])
      ring.push('read', { fd, addr: buffer + 4096 + part * 8192, len: block, off: offset + part * block, user: part });
    for (let ended = 0; ended < 2; ) {
      const completions = ring.run(1);
      ended += completions.length;
      for (const { user, res } of completions) {
        const at = buffer + 4096 + user * 8192;
        seen.push([user, res, res > 0 ? bytes.slice(at, at + res).reduce((sum, byte) => (sum * 31 + byte) | 0, 7) : 0]);
      }
    }
  }
  seen.push(ring.one('close', { fd }));
  return seen;
}

function recorded(seed: number): { record: RingRecord; seen: unknown[] } {
  const world = new World();
  world.file('/file', {
    size: 6000,
    source: (offset, target) => target.set(target.map((_, index) => offset + index)),
  });
  const backend = new RecordingBackend(
    runtime,
    new SimulatedBackend(runtime, { seed, world, faults: { ...chaos, overflow: 0 } }),
  );
  const seen = program(backend, 1000);
  return { record: backend.record, seen };
}

describe('a replay', () => {
  it('gives the program what the recorded run gave it, without its world', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { record, seen } = recorded(seed);
      const backend = new SimulatedBackend(runtime, { replay: recordFromJson(recordToJson(record)), seed: 999 });
      expect(program(backend, 1000)).toEqual(seen);
      expect(backend.isReplayed).toBe(true);
    }
  });

  it('says where the program does something else', () => {
    const { record } = recorded(1);
    const other = new SimulatedBackend(runtime, { replay: record });
    expect(() => program(other, 900)).toThrow(
      /recorded read fd 3 offset 0 length 1000, now read fd 3 offset 0 length 900/,
    );
    expect(other.isReplayed).toBe(false);
  });

  it('takes only records', () => {
    expect(() => recordFromJson('{')).toThrow(InputError);
    expect(() => recordFromJson('{"schema":"other"}')).toThrow(/sluice.ring-record\/1/);
    const { record } = recorded(1);
    const json = recordToJson(record);
    expect(recordFromJson(json)).toEqual(record);
    expect(() => recordFromJson(json.replace('"opcode":18', '"opcode":"18"'))).toThrow(/opcode/);
  });
});
