import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { LinuxProgramTypeName } from '../abi/program-types.ts';
import { assemble } from '../isa/assembler.ts';
import { bindMap, enableRunTimeStats, loadBtf, objectIds, openById, openPinned, pinObject } from './bpf.ts';
import { createMap, MapElements } from './bpf-maps.ts';
import { bpfRefusal } from './features.ts';
import { close } from './ffi.ts';
import { btfInfoOf, mapInfoOf, programInfoOf } from './info.ts';
import { attachRawTracepoint } from './links.ts';
import { type KernelProgram, loadRaw, type RawProgramOptions } from './programs.ts';
import { errnoName, ProgramRefusedError } from './syscall-error.ts';

const refusal = bpfRefusal();
const skipped = refusal === undefined ? '' : ` (skipped: ${refusal})`;

function load(type: LinuxProgramTypeName, text: string, options: RawProgramOptions = {}): KernelProgram {
  return loadRaw(assemble(text, { syntax: 'llvm' }).insns, type, 'GPL', options);
}

describe('refusals', () => {
  it('have the names that bpf(2) documents', () => {
    expect([1, 2, 11, 22, 95, 524, 4000].map(errnoName)).toEqual([
      'EPERM',
      'ENOENT',
      'EAGAIN',
      'EINVAL',
      'EOPNOTSUPP',
      'ENOTSUPP',
      'E4000',
    ]);
  });

  it('show the end of the log, without statistics', () => {
    const log = ['0: a', '1: b', '2: c', '3: d', 'R1 is bad', 'processed 4 insns (limit 1000000)', 'stack depth 0', ''];
    const error = new ProgramRefusedError('p', 13, log.join('\n'));
    expect(error.message).toBe(
      'bpf(BPF_PROG_LOAD): EACCES (program p: (1 lines omitted) 1: b | 2: c | 3: d | R1 is bad)',
    );
    expect(error.log).toBe(log.join('\n'));
  });
});

describe.skipIf(refusal !== undefined)(`bpf(2)${skipped}`, () => {
  it('walks ids and opens by id', () => {
    const fd = createMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1, name: 'walked' });
    const { id } = mapInfoOf(fd);
    expect([...objectIds('map')]).toContain(id);
    const second = openById('map', id)!;
    expect(mapInfoOf(second)).toMatchObject({ id, name: 'walked', type: 2, keySize: 4, valueSize: 4 });
    close(second);
    close(fd);
    expect(openById('program', 0x7fff_ffff)).toBeUndefined();
  });

  it('tells a map of a program, bound or referred to', () => {
    const referred = createMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 });
    const bound = createMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 });
    const insns = assemble('r1 = 0 ll\nr0 = 0\nexit', { syntax: 'llvm' }).insns.map((insn) =>
      insn.opcode === 0x18 ? { ...insn, src: 1, imm: referred } : insn,
    );
    const program = loadRaw(insns, 'xdp');
    bindMap(program.fd, bound);
    expect(program.info().mapIds).toEqual([mapInfoOf(referred).id, mapInfoOf(bound).id]);
    program.close();
    close(referred);
    close(bound);
  });

  it('keeps run time statistics while they are on', () => {
    const program = load('xdp', 'r0 = 2\nexit');
    const stats = enableRunTimeStats();
    program.run({ data: new Uint8Array(64), repeat: 100 });
    expect(program.info().runCount).toBe(100n);
    close(stats);
    program.run({ data: new Uint8Array(64) });
    expect(program.info().runCount).toBe(100n);
    program.close();
  });

  it('attaches to a raw tracepoint', () => {
    const map = createMap({ type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 });
    const text = 'r1 = 0 ll\nr2 = 1\nlock *(u64 *)(r1 + 0) += r2\nr0 = 0\nexit';
    const insns = assemble(text, { syntax: 'llvm' }).insns.map((insn) =>
      insn.opcode === 0x18 ? { ...insn, src: 2, imm: map } : insn,
    );
    const program = loadRaw(insns, 'raw_tracepoint');
    const elements = new MapElements(map, 4, 8);
    const stats = enableRunTimeStats();
    const link = attachRawTracepoint(program, 'sys_enter');
    for (let i = 0; i < 20; i++) elements.lookup(); // system calls of our own
    link.close();
    expect(program.info().runCount).toBeGreaterThanOrEqual(20n);
    close(stats);
    elements.lookup();
    expect(new DataView(elements.value.buffer).getBigUint64(0, true)).toBeGreaterThanOrEqual(20n);
    program.close();
    close(map);
  });

  it('loads BTF and refuses what is none, with the reason', () => {
    const words = new Uint32Array([0x0001eb9f, 24, 0, 16, 16, 5, 1, 1 << 24, 4, (1 << 24) | 32]);
    const bytes = new Uint8Array(45);
    bytes.set(new Uint8Array(words.buffer));
    bytes.set(new TextEncoder().encode('\0int\0'), 40);
    const fd = loadBtf(bytes);
    expect(btfInfoOf(fd)).toMatchObject({ kernel: false, size: 45 });
    close(fd);
    new DataView(bytes.buffer).setUint32(32, 3, true); // an int of 3 bytes
    expect(() => loadBtf(bytes)).toThrow(expect.objectContaining({ errno: 'EINVAL' }));
    expect(() => loadBtf(bytes)).toThrow(/INT int/);
  });

  it('shows instructions as rewritten and as machine code', () => {
    const program = load('xdp', 'r0 = *(u32 *)(r1 + 12)\nexit');
    const info = program.info({ xlated: true, jited: true });
    expect(info.xlated).toHaveLength(info.xlatedSize);
    // The context's u32 became a load from struct xdp_buff.
    expect(info.xlatedSize).toBeGreaterThan(16);
    if (info.jited !== undefined) expect(info.jited.length).toBe(info.jitedSize);
    expect(programInfoOf(program.fd)).toMatchObject({ xlated: undefined, jited: undefined });
    expect(info.tag).toMatch(/^[0-9a-f]{16}$/);
    program.close();
  });

  it('gives the log of an accepted program on request', () => {
    const program = load('xdp', 'r0 = 2\nexit', { logLevel: 2 });
    expect(program.log).toContain('processed 2 insns');
    program.close();
  });
});

describe.skipIf(refusal !== undefined)(`test runs by program type${skipped}`, () => {
  const packet = Uint8Array.from({ length: 64 }, (_, i) => (i === 12 ? 8 : i === 13 ? 0 : i));

  it('sched_cls: packet and __sk_buff both ways', () => {
    // skb->cb[0] = skb->mark + 1; first byte of the packet = 0xaa by bpf_skb_store_bytes
    const program = load(
      'sched_cls',
      `r6 = r1
       r2 = *(u32 *)(r1 + 8)
       r2 += 1
       *(u32 *)(r1 + 48) = r2
       r2 = 0xaa
       *(u64 *)(r10 - 8) = r2
       r2 = 0
       r3 = r10
       r3 += -8
       r4 = 1
       r5 = 0
       call 9
       r0 = *(u32 *)(r6 + 0)
       exit`,
    );
    const context = new Uint8Array(192);
    new DataView(context.buffer).setUint32(8, 41, true);
    const result = program.run({ data: packet, context });
    expect(result.returnValue).toBe(64);
    expect(result.data?.[0]).toBe(0xaa);
    expect(result.data?.subarray(1)).toEqual(packet.subarray(1));
    expect(new DataView(result.context!.buffer).getUint32(48, true)).toBe(42);
    expect(context[48]).toBe(0);
    program.close();
  });

  it('socket_filter and cgroup_skb: a verdict', () => {
    for (const type of ['socket_filter', 'cgroup_skb'] as const) {
      const program = load(type, 'r0 = 1\nexit');
      expect(program.run({ data: packet, repeat: 2 }).returnValue).toBe(1);
      program.close();
    }
  });

  it('raw_tracepoint: arguments as context', () => {
    const program = load('raw_tracepoint', 'r0 = *(u64 *)(r1 + 8)\nexit');
    const context = new Uint8Array(16);
    context[8] = 99;
    expect(program.run({ context })).toMatchObject({ returnValue: 99, data: undefined });
    expect(() => program.run({ context: new Uint8Array(8) })).toThrow(
      expect.objectContaining({ code: 'SLUICE_LINUX_EINVAL' }),
    );
    program.close();
  });

  it('syscall: the context comes back, the one handed in is left alone', () => {
    const text = 'r2 = *(u32 *)(r1 + 0)\nr2 *= 2\n*(u32 *)(r1 + 4) = r2\nr0 = 5\nexit';
    const program = load('syscall', text, { flags: 1 << 4 });
    const context = new Uint8Array(8);
    context[0] = 21;
    const result = program.run({ context, repeat: 1 });
    expect(result.returnValue).toBe(5);
    expect(result.context).toEqual(Uint8Array.of(21, 0, 0, 0, 42, 0, 0, 0));
    expect(context[4]).toBe(0);
    program.close();
  });

  it('flow_dissector: flow keys as data', () => {
    const program = load('flow_dissector', 'r0 = 0\nexit');
    const result = program.run({ data: packet });
    expect(result.returnValue).toBe(0);
    expect(result.data!.length).toBeGreaterThan(40);
    program.close();
  });
});

describe('pins', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bpffs-'));
  const mounted = refusal === undefined && spawnSync('mount', ['-t', 'bpf', 'none', folder]).status === 0;
  afterAll(() => {
    if (mounted) spawnSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  });

  it.skipIf(!mounted)(`outlive the descriptor${mounted ? '' : ' (skipped: no bpf file system can be mounted)'}`, () => {
    const path = join(folder, 'pinned');
    const fd = createMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 });
    const { id } = mapInfoOf(fd);
    pinObject(path, fd);
    close(fd);
    const again = openPinned(path);
    expect(mapInfoOf(again).id).toBe(id);
    close(again);
    rmSync(path);
    expect(() => openPinned(path)).toThrow(expect.objectContaining({ errno: 'ENOENT' }));
  });
});
