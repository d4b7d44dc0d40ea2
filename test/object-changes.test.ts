// Sizes of maps and types of programs that the loader gives, on both targets and from the command line.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { changeObject, load, readObject } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

// As bcc's tools: sizes that user space is to set, and a section that says nothing.
const source = `${prelude}
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
struct { __uint(type, 1); __type(key, u32); __type(value, u64); } counts SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 4); } wide SEC(".maps");
u64 total = 7;
SEC("whatever") int count(void *ctx) {
  u32 key = 3; u64 one = 1;
  if (bpf_map_update_elem(&counts, &key, &one, 0)) return 5;
  key = 0;
  char *value = bpf_map_lookup_elem(&wide, &key);
  total++;
  return value ? 2 : 6;
}
char _license[] SEC("license") = "GPL";`;

const folder = mkdtempSync(join(tmpdir(), `sluice-changes-${process.pid}-`));
afterAll(() => rmSync(folder, { recursive: true }));
const changes = {
  mapSizes: { counts: { maxEntries: 4 }, wide: { maxEntries: 3, valueSize: 24 } },
  types: { count: 'xdp' },
};
const refusal = bpfRefusal();

describe.skipIf(clangs.length === 0)(`changes of an object${noClang}`, () => {
  const bytes = clangs.length === 0 ? new Uint8Array() : compileBpf(source, { clang: clangs[0]! });
  const object = () => readObject(bytes, 'sizes.bpf.o');

  it('without them neither map nor program can be made', async () => {
    await expect(load(bytes)).rejects.toMatchObject({ code: 'SLUICE_UNKNOWN_SECTION' });
    await expect(load(bytes, { types: { '*': 'xdp' } })).rejects.toThrow('EINVAL');
  });

  for (const target of ['user', 'linux'] as const) {
    it.skipIf(target === 'linux' && refusal !== undefined)(`${target}: runs with them`, async () => {
      const options = { ...changes };
      const loaded = target === 'user' ? await load(bytes, options) : await load(bytes, { ...options, target });
      try {
        expect(loaded.maps.counts!.spec.maxEntries).toBe(4);
        expect(loaded.maps.wide!.spec.valueSize).toBe(24);
        const program = loaded.programs.count!;
        expect(program.type).toBe('xdp');
        expect(program.run({ data: new Uint8Array(64) }).returnValue).toBe(2);
        for (const key of [0, 1, 2]) loaded.maps.counts!.set(key, 1n);
        expect(() => loaded.maps.counts!.set(4, 1n)).toThrow('E2BIG');
        expect([...loaded.maps.counts!.entries()].length).toBe(4);
      } finally {
        loaded.close();
      }
    });
  }

  it('types by section name have their attach type; variables only grow', () => {
    const changed = changeObject(object(), {
      types: { '*': 'cgroup/connect4' },
      mapSizes: { '.data': { valueSize: 64 } },
    });
    expect(changed.programs.get('count')).toMatchObject({
      type: 'cgroup_sock_addr',
      attachType: 'cgroup_inet4_connect',
    });
    expect(changeObject(object(), { types: { count: 'sched_cls' } }).programs.get('count')?.type).toBe('sched_cls');
    const { contents, valueSize } = changed.maps.get('.data')!;
    expect(valueSize).toBe(64);
    expect(contents.kind === 'bytes' && [contents.bytes.length, contents.bytes[0]]).toEqual([64, 7]);
    expect(object().programs.get('count')?.type).toBeUndefined();
  });

  it('variables have other initial values, in constants that the verifier knows too', async () => {
    const source = `${prelude}
struct pair { u32 low; u64 high; };
const volatile u32 size; const volatile struct pair limits = {1, 2}; u64 total = 7; char bytes[32];
SEC("xdp") int count(void *ctx) { bytes[size] = 1; return total + limits.high; }
char _license[] SEC("license") = "GPL";`;
    const compiled = compileBpf(source, { clang: clangs[0]! });
    const set = async (variables: NonNullable<Parameters<typeof changeObject>[1]['variables']>) => {
      const loaded = await load(compiled, { variables });
      const { returnValue } = loaded.programs.count!.run({ data: new Uint8Array(64) });
      loaded.close();
      return returnValue;
    };
    expect(await set({})).toBe(9);
    expect(await set({ size: 31, total: 100n, limits: { high: 5n } })).toBe(105);
    await expect(set({ size: 32 })).rejects.toMatchObject({ code: 'SLUICE_PROGRAM_REFUSED' });
    await expect(set({ sizes: 1 })).rejects.toMatchObject({ code: 'SLUICE_NO_VARIABLE' });
    await expect(set({ size: 2 ** 32 })).rejects.toMatchObject({ code: 'SLUICE_VALUE' });
  });

  it('says what there is not', () => {
    const refused = (given: Parameters<typeof changeObject>[1], code: string) =>
      expect(() => changeObject(object(), given)).toThrow(expect.objectContaining({ code }));
    refused({ mapSizes: { no: { maxEntries: 1 } } }, 'SLUICE_NO_MAP');
    refused({ mapSizes: { counts: { maxEntries: -1 } } }, 'SLUICE_MAP_SIZE');
    refused({ mapSizes: { '.data': { maxEntries: 2 } } }, 'SLUICE_MAP_SIZE');
    refused({ mapSizes: { '.data': { valueSize: 4 } } }, 'SLUICE_MAP_SIZE');
    refused({ types: { no: 'xdp' } }, 'SLUICE_NO_PROGRAM');
    refused({ types: { count: 'toString' } }, 'SLUICE_PROGRAM_TYPE');
  });

  it('run, verify, diff and replay take them', () => {
    const path = join(folder, 'sizes.bpf.o');
    const packet = join(folder, 'packet');
    const recording = join(folder, 'run.json');
    writeFileSync(path, bytes);
    writeFileSync(packet, new Uint8Array(64));
    const sluice = (...words: string[]) => {
      const bin = new URL('../bin/sluice.js', import.meta.url).pathname;
      return execFileSync(process.execPath, [bin, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    };
    const given = ['--max-entries', 'counts=4', '--max-entries', 'wide=3', '--value-size', 'wide=24', '--type', 'xdp'];
    expect(JSON.parse(sluice('verify', path, '--json', ...given)).programs[0].verdict).toBe('accept');
    const ran = JSON.parse(sluice('run', path, '--data-in', packet, '--json', '--record', recording, ...given));
    expect(ran.results[0].returnValue).toBe(2);
    expect(sluice('replay', recording)).toContain('the same: 1 runs');
    if (refusal === undefined) expect(sluice('diff', 'linux', path, '--inputs', '20', ...given)).toContain('agree');
    expect(() => sluice('verify', path, '--max-entries', 'counts')).toThrow(expect.objectContaining({ status: 2 }));
  });
});
