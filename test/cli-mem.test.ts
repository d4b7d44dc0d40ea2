import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), `sluice-mem-${process.pid}-`));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function sluice(...args: string[]) {
  const { status, stdout, stderr } = spawnSync('node', ['bin/sluice.js', ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}
const steps = join(folder, 'steps.jsonl');
writeFileSync(
  steps,
  '# as in 2022\n{"load": "move"}\n{"load": "put,take"}\n{"run": "put", "data": "05", "repeat": 10}\n{"run": "put", "data": "06"}\n{"run": "move", "data": "05"}\n',
);

describe('sluice mem', () => {
  it('holds the policies against each other', () => {
    const { status, stdout } = sluice('mem', 'bpf/objects/mem/moves.bpf.o', '--steps', steps, '--json');
    expect(status).toBe(0);
    const { schema, policies } = JSON.parse(stdout);
    expect(schema).toBe('sluice.mem/1');
    const rows = policies.map((each: Record<string, unknown>) => [
      each['policy'],
      each['verdict'],
      each['live'],
      each['liveBytes'],
    ]);
    expect(rows).toEqual([
      ['global', 'accept', 2, 96],
      ['dynamic', 'accept', 2, 96],
      ['per-field', 'accept', 2, 96],
      ['per-map', 'reject', 0, 0],
    ]);
    expect(policies[3].problem).toContain('.kptr_allocator');
    const ma = policies[2].allocators.find(({ name }: { name: string }) => name === 'ma');
    expect(ma.keepers).toEqual({
      programs: ['put (moves.bpf.o)'],
      maps: ['ma'],
      pins: ['ma'],
      fields: ['m1.object', 'm2.object'],
      objects: 2,
    });
  });

  it('draws the heap', () => {
    for (const name of ['heap.svg', 'heap.json']) {
      const file = join(folder, name);
      const args = ['--policy', 'dynamic', '--steps', steps, '--heap-map', file];
      expect(sluice('mem', 'bpf/objects/mem/moves.bpf.o', ...args)).toMatchObject({ status: 0 });
      const text = readFileSync(file, 'utf8');
      if (name.endsWith('svg')) expect(text).toMatch(/^<svg .*>ma<.*2\/341.*<\/svg>\n$/s);
      else {
        const { schema, allocators, slabs } = JSON.parse(text);
        expect(schema).toBe('sluice.heap/1');
        const { id } = allocators.find(({ name: each }: { name: string }) => each === 'ma');
        expect(slabs.flatMap(({ live }: { live: number[] }) => live.filter((each) => each === id))).toHaveLength(2);
      }
    }
  });

  it('says what is wrong, and what to do', () => {
    const bad = join(folder, 'bad.jsonl');
    writeFileSync(bad, '{"run": "put", "times": 3}\n');
    expect(sluice('mem', 'bpf/objects/mem/moves.bpf.o', '--steps', bad)).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('line 1: times is not known; there are data, context, repeat'),
    });
    writeFileSync(bad, '{"run": "put"}\n');
    expect(sluice('mem', 'bpf/objects/mem/moves.bpf.o', '--steps', bad).stderr).toContain(
      'put is not loaded: load it first',
    );
    expect(sluice('mem', 'bpf/objects/mem/moves.bpf.o', '--heap-map', 'x.svg')).toMatchObject({ status: 2 });
    const { status, stdout } = sluice('mem', 'bpf/objects/mem/two.bpf.o', '--policy', 'per-field');
    expect(status).toBe(1);
    expect(stdout).toContain('pairs.a can hold objects of one allocator only');
  });

  it('is what run takes a policy from', () => {
    const packet = join(folder, 'packet');
    writeFileSync(packet, new Uint8Array(64));
    const run = (policy: string) =>
      sluice('run', 'bpf/objects/mem/moves.bpf.o:put', '--data-in', packet, '--policy', policy, '--json');
    expect(JSON.parse(run('per-field').stdout).results[0].returnValue).toBe(1);
    const refused = run('per-map');
    expect(refused.status).toBe(3);
    expect(JSON.parse(refused.stdout).error.code).toBe('SLUICE_ALLOCATOR_CONFLICT');
    expect(sluice('run', 'bpf/objects/mem/moves.bpf.o:put', '--data-in', packet, '--target', 'linux').status).toBe(4);
  });
});

describe('sluice verify --policy', () => {
  it('says what a load under the policy would, without one', () => {
    const moves = 'bpf/objects/mem/moves.bpf.o';
    const all = sluice('verify', moves, '--policy', 'all', '--json');
    expect(all.status).toBe(0);
    const { programs, policies } = JSON.parse(all.stdout);
    expect(programs.map(({ verdict }: { verdict: string }) => verdict)).toEqual(['accept', 'accept', 'accept']);
    expect(policies.map(({ policy, verdict }: Record<string, string>) => [policy, verdict])).toEqual([
      ['global', 'accept'],
      ['dynamic', 'accept'],
      ['per-field', 'accept'],
      ['per-map', 'reject'],
    ]);
    const one = sluice('verify', moves, '--policy', 'per-map');
    expect(one.status).toBe(1);
    expect(one.stdout).toMatch(/policy per-map: reject: .*m1\.object can hold objects of one allocator only/);
    expect(sluice('verify', `${moves}:take`, '--policy', 'per-map').status).toBe(0);
  });
});
