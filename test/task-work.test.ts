/** Work of tasks from C, on both engines, on other CPUs and in the kernel (6.18): it runs before the run's caller goes on, whatever the clock says. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cpus, load, Runtime } from '../src/index.ts';
import { vmlinuxBtf } from '../src/linux/btf-vmlinux.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { readObject } from '../src/object/index.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import type { UserProgram } from '../src/runtime/program.ts';
import { clangs, compileBpf, noClang } from './clang.ts';

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const refusal =
  bpfRefusal() ??
  (vmlinuxBtf().find('bpf_task_work_schedule_signal_impl', 'func') === undefined
    ? 'the kernel has no work of tasks'
    : undefined);
const noKernel = refusal === undefined ? '' : ` (skipped: ${refusal})`;

function compile() {
  const source = readFileSync(folder('objects/task-work.bpf.c'), 'utf8');
  const flags = ['-nostdinc', `-I${folder('../bpf/include')}`];
  return readObject(
    compileBpf(source, { flags, ...(clangs[0] === undefined ? {} : { clang: clangs[0] }) }),
    'task-work',
  );
}

function seen(object: LoadedObject) {
  const { calls, lines } = object.maps['.bss']!.get(0) as { calls: bigint; lines: bigint[] };
  return { calls, lines: lines.slice(0, Number(calls)) };
}

describe.skipIf(noClang !== '')(`work of tasks${noClang}`, () => {
  const spec = noClang === '' ? compile() : undefined;
  const programs = [...(spec?.programs.keys() ?? [])];
  let shared: { readonly runtime: Runtime; readonly cpus: Cpus } | undefined;
  beforeAll(async () => {
    const runtime = new Runtime({ cpus: 2, clock: { at: 1n } });
    shared = { runtime, cpus: await Cpus.start(runtime) };
  });
  afterAll(() => shared?.cpus.close());

  async function here(name: string, where: 'jit' | 'interpreter' | 'cpu 1') {
    const runtime = where === 'cpu 1' ? shared!.runtime : new Runtime({ clock: { at: 1n } });
    const engine = where === 'cpu 1' ? 'jit' : where;
    const object = await load(spec!, { engine, runtime, programs: [name] });
    const program = object.programs[name] as UserProgram;
    const runs = [];
    for (let i = 0; i < 2; i++) {
      const { returnValue } = where === 'cpu 1' ? await shared!.cpus.run(program, {}, 1) : program.run({});
      runs.push({ returnValue, ...seen(object) });
    }
    expect(runtime.timers.waiting).toBe(0);
    object.close();
    return runs;
  }

  it.skipIf(refusal !== undefined).each(programs)(`%s as in the kernel${noKernel}`, async (name) => {
    const there = await load(spec!, { target: 'linux', programs: [name] });
    const expected = [];
    for (let i = 0; i < 2; i++) {
      const { returnValue } = there.programs[name]!.run({});
      expected.push({ returnValue, ...seen(there) });
    }
    there.close();
    expect(expected[1]!.calls).toBeGreaterThan(0n);
    for (const where of ['jit', 'interpreter', 'cpu 1'] as const)
      expect({ where, runs: await here(name, where) }).toEqual({ where, runs: expected });
  });
});
