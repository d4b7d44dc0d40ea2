import { expect, it } from 'vitest';
import { assemble } from '../isa/assembler.ts';
import { rawProgram } from '../jit/testbed.ts';
import { ProgramFault } from './fault.ts';
import { loadIntoJit } from './jit-engine.ts';
import { runRaw } from './raw.ts';
import { Runtime } from './runtime.ts';

const assembled = (text: string) => assemble(text, { syntax: 'conformance' });

it('a program that calls itself without end is stopped, and the runtime lives on', async () => {
  const runtime = new Runtime();
  const { insns, functions } = assembled('call local again\nexit\nagain:\ncall local again\nadd %r0, 1\nexit');
  const specs = functions.map((fn) => ({ ...fn, linkage: 'static' as const, btfId: undefined }));
  const loaded = await loadIntoJit(runtime, [rawProgram(insns, { functions: specs })], { fuel: 1_000_000_000 });
  expect(() => loaded.programs.get('entry')!.run(0, 0)).toThrow(ProgramFault);
  loaded.close();
  const { insns: five, functions: one } = assembled('mov %r0, 5\nexit');
  expect(await runRaw(runtime, 'jit', { name: 'five', insns: five, functions: one }, undefined)).toBe(5n);
});

it.each(['jit', 'interpreter'] as const)('%s: callx calls by number, and faults where none has it', async (engine) => {
  const call = (number: number) => {
    const { insns, functions } = assembled(`mov %r2, ${number}\ncall %r2\nexit`);
    return runRaw(new Runtime({ cpus: 1 }), engine, { name: 'called', insns, functions }, undefined);
  };
  expect(await call(8)).toBe(0n); // bpf_get_smp_processor_id
  expect(await call(5)).toBeGreaterThan(0n); // bpf_ktime_get_ns
  for (const number of [0, 12, 181, 100_000, -1, -2_147_483_640])
    await expect(call(number)).rejects.toThrow(ProgramFault);
});
