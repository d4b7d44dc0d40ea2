import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseBtf } from '../btf/parse.ts';
import { UnsupportedError } from '../errors.ts';
import { readObject } from '../object/index.ts';
import type { MapSpec } from '../object/spec.ts';
import { isRingbuf } from '../runtime/handles.ts';
import { bpfRefusal } from './features.ts';
import { mapInfoOf } from './info.ts';
import { versionCode } from './kconfig.ts';
import { type LinuxObject, loadLinux } from './load.ts';
import { ProgramRefusedError } from './syscall-error.ts';

const refusal = bpfRefusal();
const clang = ['clang-22', 'clang-19', 'clang-16', 'clang-14', 'clang'].find(
  (name) => spawnSync(name, ['-print-targets'], { encoding: 'utf8' }).stdout?.includes('bpf') === true,
);
const missing =
  refusal ??
  (clang === undefined ? 'no clang with a BPF target' : undefined) ??
  (existsSync('/sys/kernel/btf/vmlinux') ? undefined : 'no kernel BTF');

const source = new URL('testdata/target.bpf.c', import.meta.url).pathname;
const firewall = new URL('../../bpf/objects/xdp_firewall.bpf.o', import.meta.url).pathname;

/** Descriptors of bpf(2) that this process holds; others come and go with the test runner. */
function openFiles(): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the descriptor of the folder itself
    }
  });
  return links.filter((link) => /^anon_inode:\[?(bpf|btf)/.test(link)).length;
}

describe.skipIf(missing !== undefined)(`loadLinux${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
  const path = join(folder, 'target.bpf.o');
  let object: LinuxObject;
  const packet = new Uint8Array(64);

  beforeAll(() => {
    execFileSync(clang!, ['-g', '-O2', '-target', 'bpf', '-mcpu=v3', '-c', source, '-o', path]);
    object = loadLinux(readObject(readFileSync(path), 'target.bpf.o'));
  });
  afterAll(() => {
    object?.close();
    rmSync(folder, { recursive: true });
  });

  it('loads BTF with function records', () => {
    expect(object.btfRefusal).toBeUndefined();
    expect(Object.keys(object.programs).sort()).toEqual(['core', 'kfuncs', 'leaf', 'parts']);
    expect(object.programs['parts']!.info().btfId).toBeGreaterThan(0);
    expect(mapInfoOf(object.maps['guarded']!.kernel.fd).btfValueTypeId).toBeGreaterThan(0);
  });

  it('resolves CO-RE, options and symbols against the running kernel', () => {
    object.programs['core']!.run({ context: new Uint8Array(8 * 2) });
    const { answers, hostname } = object.maps['.bss']!.get(0) as Record<string, Record<string, bigint>>;
    expect(answers).toMatchObject({
      tgid: BigInt(process.pid),
      same_member: 1n,
      other_member: 0n,
      version: BigInt(versionCode()),
      bpf_syscall: 1n,
      no_such_option: 0n,
    });
    expect([100n, 250n, 300n, 1000n]).toContain(answers!['hz']);
    expect(hostname).toBeDefined();
    const symbol = /^(\w+) \w schedule$/m.exec(readFileSync('/proc/kallsyms', 'latin1'))?.[1];
    expect(answers!['symbol']).toBe(BigInt(`0x${symbol}`));
  });

  it('calls kfuncs, and not those that the kernel does not have', () => {
    expect(object.programs['kfuncs']!.run({ data: packet }).returnValue).toBe(7);
  });

  it('runs callbacks, locks, static and global functions, and the maps around them', () => {
    const { programs, maps } = object;
    expect(programs['parts']!.run({ data: packet }).returnValue).toBe(77);
    expect(maps['.data']!.get(0)).toEqual({ sum: 100n + 0n + 1n + 2n + 3n + 4n + 5n * 10n });
    expect(maps['.rodata']!.get(0)).toEqual({ rounds: 5 });
    expect(maps['guarded']!.get(3)).toMatchObject({ count: 6 });
    expect([...maps['guarded']!.keys()]).toEqual([3]);
    expect(maps['second']!.get(0)).toBe(9n);
    expect((maps['per_cpu']!.get(0) as number[]).reduce((a, b) => a + b)).toBe(1);
    // Without its tail call the program goes on.
    maps['calls']!.delete(1);
    expect(programs['parts']!.run({ data: packet }).returnValue).toBe(16);
    expect(() => maps['.rodata']!.set(0, { rounds: 6 })).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_EPERM' }));
  });

  it('gives out records as the map describes them', async () => {
    const events = object.maps['events']!;
    if (!isRingbuf(events)) throw new Error('events is no ring buffer');
    events.consume(() => {});
    object.programs['parts']!.run({ data: packet, repeat: 3 });
    const seen: unknown[] = [];
    for await (const event of events.events()) if (seen.push(event) === 3) break;
    expect(seen).toEqual(Array(3).fill({ number: 42, text: new Uint8Array([97, 98, 99, 0]) }));
    expect(events.consume(() => {})).toBe(0);
  });

  it('takes other content for global data', () => {
    const changed = loadLinux(readObject(readFileSync(path), 'target.bpf.o'), {
      programs: ['parts'],
      contents: { '.rodata': new Uint8Array(new Uint32Array([2]).buffer) },
    });
    expect(changed.programs['parts']!.run({ data: packet }).returnValue).toBe(7);
    expect(changed.maps['.data']!.get(0)).toEqual({ sum: 121n });
    changed.close();
  });

  it('names a program that is not there', () => {
    const spec = readObject(readFileSync(path), 'target.bpf.o');
    expect(() => loadLinux(spec, { programs: ['nothing'] })).toThrow(
      expect.objectContaining({ code: 'SLUICE_NO_PROGRAM' }),
    );
  });

  it('shows source lines in the log of a refused program, and leaves nothing open', () => {
    const spec = readObject(readFileSync(path), 'target.bpf.o');
    const program = spec.programs.get('leaf')!;
    // r0 = *(u64 *)(r1 + 4096)
    const insns = [{ opcode: 0x79, dst: 0, src: 1, off: 4096, imm: 0 }, ...program.insns.slice(1)];
    const bad = { ...spec, programs: new Map([...spec.programs, ['leaf', { ...program, insns }]]) };
    const before = openFiles();
    expect(before).toBeGreaterThan(0);
    let error: unknown;
    try {
      loadLinux(bad);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ProgramRefusedError);
    expect((error as ProgramRefusedError).log).toContain('return 77;');
    expect(openFiles()).toBe(before);
    loadLinux(spec).close();
    expect(openFiles()).toBe(before);
  });

  it('names a kfunc that the kernel does not have', () => {
    const spec = readObject(readFileSync(path), 'target.bpf.o');
    const program = spec.programs.get('kfuncs')!;
    const references = new Map(program.references);
    for (const [slot, reference] of references)
      if (reference.kind === 'kfunc' && !reference.weak) references.set(slot, { ...reference, name: 'bpf_no_such' });
    const programs = new Map([['kfuncs', { ...program, references }]]);
    expect(() => loadLinux({ ...spec, programs })).toThrow(
      expect.objectContaining({ feature: 'kfunc bpf_no_such', name: UnsupportedError.name }),
    );
  });

  it('does without BTF that the kernel refuses, and says why', () => {
    const spec = readObject(readFileSync(firewall), 'xdp_firewall.bpf.o');
    const bytes = spec.btf!.bytes.slice();
    const name = Buffer.from(bytes.buffer).indexOf('\0flow_key\0') + 1;
    expect(name).toBeGreaterThan(0);
    bytes[name] = '<'.charCodeAt(0); // as in the names of C++ and Rust
    const loaded = loadLinux({ ...spec, btf: parseBtf(bytes) });
    expect(loaded.btfRefusal).toMatch(/BPF_BTF_LOAD.*Invalid name/);
    expect(loaded.programs['xdp_firewall']!.info().btfId).toBe(0);
    expect(loaded.programs['xdp_firewall']!.run({ data: packet }).returnValue).toBe(2);
    loaded.close();
  });

  it('shares maps that are pinned by name', (context) => {
    const pins = join(folder, 'pins');
    mkdirSync(pins);
    if (spawnSync('mount', ['-t', 'bpf', 'none', pins]).status !== 0) context.skip('no bpf file system can be mounted');
    try {
      const spec = readObject(readFileSync(path), 'target.bpf.o');
      const pinned = (map: Partial<MapSpec>) =>
        loadLinux(
          {
            ...spec,
            maps: new Map([...spec.maps, ['guarded', { ...spec.maps.get('guarded')!, pinning: 'by-name', ...map }]]),
          },
          { pinFolder: pins, programs: ['parts'] },
        );
      const first = pinned({});
      first.programs['parts']!.run({ data: packet });
      first.close();
      const second = pinned({});
      expect(second.maps['guarded']!.get(3)).toMatchObject({ count: 6 });
      second.close();
      expect(() => pinned({ maxEntries: 5 })).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_PIN' }));
    } finally {
      spawnSync('umount', [pins]);
    }
  });

  it('loads the firewall of bpf/', () => {
    const bytes = readFileSync(firewall);
    const before = Uint8Array.from(bytes);
    const loaded = loadLinux(readObject(bytes, 'xdp_firewall.bpf.o'));
    expect(Uint8Array.from(bytes)).toEqual(before); // a Buffer's slice() is no copy
    expect(loaded.btfRefusal).toBeUndefined();
    expect(loaded.programs['xdp_firewall']!.run({ data: packet, repeat: 10 }).returnValue).toBe(2);
    loaded.close();
  });
});
