import { describe, expect, it } from 'vitest';
import { UnsupportedError } from '../errors.ts';
import type { Insn } from '../isa/insn.ts';
import { createMap, MapElements } from './bpf-maps.ts';
import { bpfRefusal } from './features.ts';
import { close } from './ffi.ts';
import { loadRaw } from './programs.ts';
import { ProgramRefusedError } from './syscall-error.ts';

const refusal = bpfRefusal();

const insn = (opcode: number, dst = 0, src = 0, off = 0, imm = 0): Insn => ({ opcode, dst, src, off, imm });
const mov = (dst: number, imm: number) => insn(0xb7, dst, 0, 0, imm);
const exit = insn(0x95);
const lddw = (dst: number, src: number, low: number, high = 0) => [
  insn(0x18, dst, src, 0, low),
  insn(0, 0, 0, 0, high),
];
const packet = Uint8Array.from({ length: 64 }, (_, i) => i);

describe.skipIf(refusal !== undefined)(
  `kernel programs${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  () => {
    it('runs XDP instructions over a packet', () => {
      const program = loadRaw([mov(0, 2), exit], 'xdp', 'GPL', { name: 'pass' });
      const result = program.run({ data: packet, repeat: 1000 });
      expect(result).toMatchObject({ returnValue: 2, r0: undefined, data: packet, context: undefined });
      expect(result.durationNs).toBeGreaterThan(0);
      expect(program.info({ xlated: true, jited: true })).toMatchObject({
        type: 6,
        name: 'pass',
        xlatedSize: 16,
        verifiedInsns: 2,
      });
      program.close();
      program.close();
      expect(() => program.run({ data: packet })).toThrow('closed');
    });

    it('gives back packet and context as the program left them', () => {
      // r6 = ctx; r0 = adjust_head(ctx, 14); return XDP_TX
      const program = loadRaw([insn(0xbf, 6, 1), mov(2, 14), insn(0x85, 0, 0, 0, 44), mov(0, 3), exit], 'xdp');
      const context = new Uint8Array(24);
      new DataView(context.buffer).setUint32(4, packet.length, true);
      const result = program.run({ data: packet, context });
      expect(result.returnValue).toBe(3);
      expect(result.data).toEqual(packet.subarray(14));
      expect(new DataView(result.context!.buffer).getUint32(4, true)).toBe(packet.length - 14);
      expect(result.context).toHaveLength(24);
      program.close();
    });

    it('names the errno of input that the kernel refuses', () => {
      const program = loadRaw([mov(0, 2), exit], 'xdp');
      expect(() => program.run({ data: packet.subarray(0, 4) })).toThrow(
        expect.objectContaining({ name: 'InputError', code: 'SLUICE_LINUX_EINVAL' }),
      );
      program.close();
    });

    it('names a type that cannot be test-run', () => {
      const program = loadRaw([mov(0, 0), exit], 'kprobe');
      expect(() => program.run({})).toThrow(expect.objectContaining({ feature: 'test run of kprobe' }));
      expect(() => program.run({})).toThrow(UnsupportedError);
      program.close();
    });

    it('keeps the log of a refused program, its last lines in the message', () => {
      let error: unknown;
      try {
        loadRaw([insn(0x79, 0, 1, 4096), exit], 'xdp', 'GPL', { name: 'bad' });
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(ProgramRefusedError);
      expect(error).toMatchObject({ errno: 'EACCES', program: 'bad', code: 'SLUICE_LINUX_EACCES' });
      expect((error as ProgramRefusedError).log).toContain('processed 1 insns');
      expect((error as ProgramRefusedError).message).toContain('invalid bpf_context access off=4096 size=8');
    });

    it('fetches a long log whole', () => {
      const long = [...Array.from({ length: 20_000 }, () => mov(0, 0)), insn(0x79, 0, 1, 4096), exit];
      let error: unknown;
      try {
        loadRaw(long, 'xdp');
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(ProgramRefusedError);
      const log = (error as ProgramRefusedError).log.split('\n');
      expect(log.length).toBeGreaterThan(20_000);
      expect(log.some((line) => line.startsWith('0: (b7) r0 = 0'))).toBe(true);
    });

    it('counts in a map value', () => {
      const fd = createMap({ type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 });
      const program = loadRaw(
        // lock *(u64 *)(value + 0) += 1
        [...lddw(1, 2, fd), mov(2, 1), insn(0xdb, 1, 2), mov(0, 0), exit],
        'socket_filter',
      );
      program.run({ data: packet, repeat: 10 });
      const elements = new MapElements(fd, 4, 8);
      expect(elements.lookup()).toBe(0);
      expect(elements.value[0]).toBe(10);
      program.close();
      close(fd);
    });

    it('tail-calls through a program array', () => {
      const table = createMap({ type: 'prog_array', keySize: 4, valueSize: 4, maxEntries: 2 });
      const target = loadRaw([mov(0, 4), exit], 'xdp');
      const caller = loadRaw([...lddw(2, 1, table), mov(3, 1), insn(0x85, 0, 0, 0, 12), mov(0, 1), exit], 'xdp');
      expect(caller.run({ data: packet }).returnValue).toBe(1);
      const elements = new MapElements(table, 4, 4);
      elements.key[0] = 1;
      new DataView(elements.value.buffer).setUint32(0, target.fd, true);
      expect(elements.update()).toBe(0);
      expect(caller.run({ data: packet }).returnValue).toBe(4);
      for (const program of [caller, target]) program.close();
      close(table);
    });
  },
);
