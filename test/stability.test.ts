// The promise of docs/stability.md: what was built against an earlier version runs, and nothing that was promised is gone.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { AbiInterface } from '../src/abi/stability/interfaces.ts';
import { brokenPromises } from '../src/abi/stability/promises.ts';
import { bindKfunc, shims } from '../src/abi/stability/shims.ts';
import { compareVersions, version } from '../src/abi/stability/version.ts';
import { isArray, load, needsOf, offeredInterfaces, Ring, Runtime, readObject, simulation } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { kernelAnswer } from '../src/linux/kernel-interfaces.ts';
import { loadLinux } from '../src/linux/load.ts';
import { SQE_CALLBACK, SQE_USER_DATA } from '../src/plane/layout/sqe.ts';
import { readTestFile } from '../src/testing/test-file.ts';
import { runTestFile } from '../src/testing/test-run.ts';
import { compileBpf, noClang } from './clang.ts';

const released = fileURLToPath(new URL('released', import.meta.url));
const versions = readdirSync(released).sort(compareVersions);
const include = fileURLToPath(new URL('../bpf/include', import.meta.url));
const text = (path: string) => readFileSync(`${released}/${path}`, 'utf8');
const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

it('counts in the version of the package', () => {
  expect(version).toBe(manifest.version);
  expect(compareVersions('0.10.0', '0.9.9')).toBeGreaterThan(0);
  expect(versions).toContain('0.1.0');
  expect(versions.every((each) => compareVersions(each, version) <= 0)).toBe(true);
});

describe.each(versions)('what %s promised', (earlier) => {
  const snapshot: { schema: string; version: string; interfaces: AbiInterface[] } = JSON.parse(
    text(`${earlier}/interfaces.json`),
  );
  const files = readdirSync(`${released}/${earlier}`);
  const objects = files.filter((name) => name.endsWith('.bpf.o'));
  const tests = files.filter((name) => name.endsWith('.test.json'));

  it('is there', () => {
    expect(snapshot).toMatchObject({ schema: 'sluice.interfaces/1', version: earlier });
    expect(snapshot.interfaces.length).toBeGreaterThan(600);
    expect(brokenPromises(snapshot, offeredInterfaces())).toEqual([]);
  });

  it('is not said of what came later', () => {
    const then = new Set(snapshot.interfaces.map(({ kind, name }) => `${kind} ${name}`));
    const later = offeredInterfaces().filter(({ kind, name }) => !then.has(`${kind} ${name}`));
    const wrong = later.filter(({ stability }) => compareVersions(stability.since, earlier) <= 0);
    expect(wrong.map(({ kind, name }) => `${kind} ${name}`)).toEqual([]);
  });

  it.each(objects)('%s is accepted and loads, on both engines', async (name) => {
    for (const engine of ['jit', 'interpreter'] as const) {
      const object = await load(new Uint8Array(readFileSync(`${released}/${earlier}/${name}`)), { engine });
      expect(Object.keys(object.programs).length).toBeGreaterThan(0);
      object.close();
    }
  });

  it.each(tests)('%s passes on the objects of then', async (name) => {
    for (const engine of ['jit', 'interpreter'] as const) {
      const results = await runTestFile(readTestFile(`${released}/${earlier}/${name}`), engine);
      expect(results.length).toBeGreaterThan(0);
      expect(results.filter(({ status }) => status !== 'passed')).toEqual([]);
    }
  });
});

describe('a broken promise', () => {
  const now = offeredInterfaces();
  const promised = { version: '0.1.0', interfaces: now };
  const without = (what: string) => now.filter(({ kind, name }) => `${kind} ${name}` !== what);
  const changed = (what: string) =>
    now.map((each) =>
      `${each.kind} ${each.name}` === what ? { ...each, prototype: 'another', fingerprint: '0' } : each,
    );

  it('is found: what is gone, what has changed, what is no longer stable', () => {
    expect(brokenPromises(promised, now)).toEqual([]);
    expect(brokenPromises(promised, without('helper bpf_map_lookup_elem'))).toEqual([
      expect.stringMatching(/^helper bpf_map_lookup_elem, stable in 0\.1\.0 as #1 .*, is gone$/),
    ]);
    expect(brokenPromises(promised, changed('context field xdp/xdp_md.data'))).toEqual([
      expect.stringContaining('is now another'),
    ]);
    expect(brokenPromises(promised, changed('kfunc bpf_dynptr_size'))).toHaveLength(1);
    const softened = now.map((each) =>
      each.name === 'bpf_ktime_get_ns'
        ? { ...each, stability: { level: 'experimental', since: '0.1.0' } as const }
        : each,
    );
    expect(brokenPromises(promised, softened)).toEqual([
      'helper bpf_ktime_get_ns was stable in 0.1.0 and is experimental',
    ]);
  });

  it('is none where a shim keeps the earlier form, or what was experimental is said to have changed', () => {
    const shim = { name: 'bpf_dynptr_size', shape: 'i(p)', had: 'Sluice 0.1.0', becomes: 'bpf_dynptr_size' };
    const gone = without('kfunc bpf_dynptr_size');
    expect(brokenPromises(promised, gone, { shims: [shim], withdrawn: [] })).toEqual([]);
    const row = (version: string, what = 'kfunc bpf_ring_emit') => [{ what, version, why: 'a test' }];
    const emit = changed('kfunc bpf_ring_emit');
    expect(brokenPromises(promised, emit, { shims: [], withdrawn: row('0.2.0') })).toEqual([]);
    expect(brokenPromises(promised, emit, { shims: [], withdrawn: row('0.1.0') })).toHaveLength(1);
    const stable = 'kfunc bpf_dynptr_size';
    expect(brokenPromises(promised, gone, { shims: [], withdrawn: row('0.2.0', stable) })).toHaveLength(1);
  });
});

describe.skipIf(noClang !== '')(`objects that declare kfuncs as they were${noClang}`, () => {
  // The header's names are macros over those of today; the declarations here are what objects of then had.
  const list = (declaration: string, call: string) => `
#include <sluice/bpf.h>
#include <sluice/mem.h>
#undef bpf_list_push_front
struct node { __u64 value; struct bpf_list_node link; };
struct head { struct bpf_spin_lock lock; struct bpf_list_head list __contains(node, link); };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct head); } heads SEC(".maps");
extern ${declaration} __ksym;
SEC("tc") int push(struct __sk_buff *skb) {
	__u32 zero = 0;
	struct head *head = bpf_map_lookup_elem(&heads, &zero);
	struct node *node;
	if (!head) return 1;
	node = bpf_obj_new(struct node);
	if (!node) return 2;
	bpf_spin_lock(&head->lock);
	${call};
	bpf_spin_unlock(&head->lock);
	return 7;
}
char _license[] SEC("license") = "GPL";
`;
  const compile = (declaration: string, call: string) =>
    readObject(compileBpf(list(declaration, call), { flags: ['-nostdinc', `-I${include}`] }), 'then.bpf.o');

  it('run by a shim: bpf_list_push_front without a result, as Linux 6.2 had it', async () => {
    const then = 'void bpf_list_push_front(struct bpf_list_head *head, struct bpf_list_node *node)';
    const spec = compile(then, 'bpf_list_push_front(&head->list, &node->link)');
    expect(spec.externs.get('bpf_list_push_front')?.shape).toBe('v(p,p)');
    for (const engine of ['jit', 'interpreter'] as const) {
      const object = await load(spec, { engine });
      expect(object.programs['push']!.run({ data: new Uint8Array(64) }).returnValue).toBe(7);
      object.close();
    }
  });

  it('are refused where they would be called wrongly', async () => {
    const wrong = 'int bpf_list_push_front(struct bpf_list_head *head, struct bpf_list_node *node, __u64 a, __u64 b)';
    await expect(load(compile(wrong, 'bpf_list_push_front(&head->list, &node->link, 0, 0)'))).rejects.toMatchObject({
      code: 'SLUICE_KFUNC_CHANGED',
      message: expect.stringMatching(/calls kfunc bpf_list_push_front as i\(p,p,i,i\), and here it is i\(p,p\)/),
    });
  });
});

it.each([
  ['device_socket', 'bpf_vnet_rss', false],
  ['rss_report', 'bpf_vnet_set_hash', true],
])('says of %s whether it does without %s: only where it asks before it calls', (object, name, without) => {
  const bytes = readFileSync(new URL(`../bpf/objects/steering/${object}.bpf.o`, import.meta.url));
  const spec = readObject(new Uint8Array(bytes), object);
  expect(needsOf(spec).find((need) => need.name === name)).toMatchObject({ kind: 'kfunc', weak: without });
  if (bpfRefusal() !== undefined) return;
  const attempt = () => loadLinux(spec).close();
  if (without) expect(attempt).not.toThrow();
  else expect(attempt).toThrow(/SLUICE|invalid func/);
});

it('binds by name and shape', () => {
  expect(bindKfunc('bpf_dynptr_size', undefined)).toEqual({ kind: 'bound', name: 'bpf_dynptr_size' });
  expect(bindKfunc('bpf_dynptr_size', 'i(p,p)')).toEqual({ kind: 'changed', shape: 'i(p)' });
  expect(bindKfunc('bpf_cpumask_any', 'i(p)')).toMatchObject({ kind: 'bound', name: 'bpf_cpumask_any_distribute' });
  expect(bindKfunc('bpf_no_such', 'i()')).toEqual({ kind: 'unknown' });
  for (const { becomes } of shims) expect(bindKfunc(becomes, undefined)).toEqual({ kind: 'bound', name: becomes });
});

it.skipIf(bpfRefusal() !== undefined)(
  `asks the kernel${bpfRefusal() === undefined ? '' : ` (skipped: ${bpfRefusal()})`}`,
  () => {
    const spec = readObject(new Uint8Array(readFileSync(`${released}/0.1.0/prefill.bpf.o`)), 'prefill.bpf.o');
    const answers = new Map(needsOf(spec).map((need) => [`${need.kind} ${need.name}`, kernelAnswer(need, spec)]));
    expect(answers.get('helper bpf_map_lookup_elem')).toBe('yes');
    expect(answers.get('program type sched_cls')).toBe('yes');
    expect(answers.get('map type allocator')).toBe('no');
    expect(answers.get('kfunc bpf_mem_prefill_impl')).toBe('no');
    const at = (kind: 'kfunc' | 'context field', name: string, shape?: string) =>
      kernelAnswer({ kind, name, programs: [], weak: false, ...(shape === undefined ? {} : { shape }) }, spec);
    expect(at('kfunc', 'bpf_rcu_read_lock', 'v()')).toBe('yes');
    expect(at('kfunc', 'bpf_rcu_read_lock', 'i(p)')).toBe('changed');
    expect(at('context field', 'xdp/xdp_md.data_meta')).toBe('yes');
    expect(at('context field', 'xdp/xdp_md.nothing')).toBe('no');
    expect(at('context field', 'sched_cls/__sk_buff.gso_size')).toBe('yes');
  },
);

it('a program of rings of 0.1.0 makes its requests', async () => {
  const runtime = new Runtime({ seed: 1n });
  const ring = await Ring.create({
    runtime,
    entries: 8,
    backend: new simulation.SimulatedBackend(runtime, { seed: 1 }),
  });
  const nops = await load(new Uint8Array(readFileSync(`${released}/0.1.0/nops.bpf.o`)), { runtime });
  ring.programs.attach(nops);
  const counts = nops.maps['.bss'];
  if (counts === undefined || !isArray(counts)) throw new Error('nops.bpf.o has no .bss');
  // One request is running, and none is left to be made: the program tells queue 0 at its end.
  new DataView(runtime.plane.memory.buffer, counts.bytes().byteOffset).setUint32(8, 1, true);
  ring.stage((view, at) => {
    view.setUint8(at, 0);
    view.setUint32(at + SQE_USER_DATA, 5, true);
    view.setUint16(at + SQE_CALLBACK, ring.programs.number('nops'), true);
  });
  expect(ring.submitAndWait(1)).toBe(1);
  expect(ring.completions.shift()).toMatchObject({ userData: 5n, res: 0 });
  expect(ring.stats.runs).toBe(1n);
  await ring.close();
  nops.close();
});
