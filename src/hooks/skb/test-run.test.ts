import { describe, expect, it } from 'vitest';
import { helperId, helpers } from '../../abi/helpers/index.ts';
import { assemble } from '../../isa/assembler.ts';
import { HOOK_XDP, WORKER_FRAME, WORKER_HOOK } from '../../plane/layout/worker.ts';
import type { EngineName } from '../../runtime/engine.ts';
import { ProgramFault } from '../../runtime/fault.ts';
import type { RunInput, RunResult } from '../../runtime/handles.ts';
import type { Hook } from '../../runtime/hook.ts';
import { loadIntoInterpreter } from '../../runtime/interpreter-engine.ts';
import { loadIntoJit } from '../../runtime/jit-engine.ts';
import { Runtime } from '../../runtime/runtime.ts';
import { tcHooks } from '../tc/index.ts';

const tc: Hook = tcHooks[0]!;
const runtime = new Runtime({ seed: 1n });

async function run(engine: EngineName, text: string, input: RunInput): Promise<RunResult> {
  const { insns, functions } = assemble(
    text.replace(/call (bpf_\w+)/g, (_, name: string) => `call ${helperId(name)}`),
    { syntax: 'llvm' },
  );
  const called = insns.filter(({ opcode, src }) => opcode === 0x85 && src === 0).map(({ imm }) => imm);
  const program = {
    name: 'test',
    type: tc.declaration.type,
    insns,
    functions: functions.map((fn) => ({ ...fn, linkage: 'static' as const, btfId: undefined, callback: false })),
    mapsAt: new Map(),
    valuesAt: new Map(),
    jumpTables: [],
    helpers: new Map(called.map((id) => [id, helpers.get(id)!] as const)),
    kfuncs: [],
    lines: [],
  };
  const loaded =
    engine === 'jit'
      ? await loadIntoJit(runtime, [program], { fuel: 1000 })
      : await loadIntoInterpreter(runtime, [{ program, declaration: tc.declaration }], { budget: 1000 });
  try {
    return tc.testRun(runtime, loaded.programs.get('test')!, input);
  } finally {
    loaded.close();
  }
}

const data = new Uint8Array(60);
data[12] = 0x08;
data[14] = 0x45;

describe.each(['jit', 'interpreter'] as const)('programs over sk_buffs, %s', (engine) => {
  it('tells where a redirect goes', async () => {
    const to = async (helper: string, args: string) =>
      (await run(engine, `${args}\ncall ${helper}\nexit`, { data })).redirect;
    expect(await to('bpf_redirect', 'r1 = 5\nr2 = 0')).toEqual({ ifindex: 5, to: 'egress' });
    expect(await to('bpf_redirect', 'r1 = 6\nr2 = 1')).toEqual({ ifindex: 6, to: 'ingress' });
    expect(await to('bpf_redirect', 'r1 = 6\nr2 = 2')).toBeUndefined();
    expect(await to('bpf_redirect_peer', 'r1 = 7\nr2 = 0')).toEqual({ ifindex: 7, to: 'peer' });
    expect(await to('bpf_redirect_neigh', 'r1 = 8\nr2 = 0\nr3 = 0\nr4 = 0')).toEqual({ ifindex: 8, to: 'neighbour' });
  });

  it('a redirect that the verdict does not ask for goes nowhere', async () => {
    const result = await run(engine, 'r1 = 5\nr2 = 0\ncall bpf_redirect\nr0 = 0\nexit', { data });
    expect(result).toMatchObject({ returnValue: 0 });
    expect(result.redirect).toBeUndefined();
  });

  it('counts clones', async () => {
    const text =
      'r6 = r1\nr2 = 1\nr3 = 0\ncall bpf_clone_redirect\nr1 = r6\nr2 = 1\nr3 = 1\ncall bpf_clone_redirect\nexit';
    const result = await run(engine, text, { data });
    expect(result).toMatchObject({ returnValue: 0, clones: { count: 2, last: { ifindex: 1, to: 'ingress' } } });
    expect((await run(engine, 'r0 = 0\nexit', { data })).clones).toBeUndefined();
  });

  it('a packet keeps nothing of the one before it', async () => {
    const grow = 'r2 = 200\nr3 = 0\ncall bpf_skb_change_tail\nexit';
    const dirty = await run(engine, grow, { data: new Uint8Array(3000).fill(0xee) });
    expect(dirty.data).toHaveLength(200);
    const clean = await run(engine, grow, { data });
    expect(clean.data).toEqual(Uint8Array.from({ length: 200 }, (_, i) => data[i] ?? 0));
  });

  it('a fault leaves the worker without a frame', async () => {
    await expect(
      run(engine, 'loop:\nr0 += 1\ngoto loop\nexit'.replace('loop:', 'r0 = 0\nloop:'), { data }),
    ).rejects.toThrow(ProgramFault);
    const { worker } = runtime.plane;
    expect(runtime.view().getUint32(worker + WORKER_HOOK, true)).toBe(HOOK_XDP);
    expect(runtime.view().getUint32(worker + WORKER_FRAME, true)).toBe(0);
  });

  it('repeats over the same packet', async () => {
    const text = 'r2 = 14\nr3 = 0\ncall bpf_skb_change_head\nexit';
    expect((await run(engine, text, { data, repeat: 20 })).data).toHaveLength(60 + 20 * 14);
    // Linux makes a buffer of twice the size every fifth time, until its allocator has no more: test/skb-sequences.test.ts.
    expect((await run(engine, text, { data, repeat: 2000 })).data).toHaveLength(1012);
  });

  it('refuses with the errno of the kernel', async () => {
    await expect(run(engine, 'r0 = 0\nexit', { data: data.subarray(0, 13) })).rejects.toThrow(/EINVAL/);
    await expect(run(engine, 'r0 = 0\nexit', { data, context: new Uint8Array(193).fill(1, 192) })).rejects.toThrow(
      /E2BIG/,
    );
    await expect(run(engine, 'r0 = 0\nexit', { data, context: new Uint8Array(192).fill(9, 40, 41) })).rejects.toThrow(
      /ENODEV/,
    );
    await expect(run(engine, 'r0 = 0\nexit', { data, repeat: 0 })).rejects.toThrow(/repeat/);
  });
});
