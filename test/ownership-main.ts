/**
 * Bundled by ownership-mutants.test.ts with switches in the verifier: verifies and runs programs that break a rule, with the rule on and off. Prints one JSON
 * object by program.
 */
import { readFileSync } from 'node:fs';
import { SluiceError, UnsupportedError } from '../src/errors.ts';
import { load } from '../src/index.ts';
import { vmlinuxBtf } from '../src/linux/btf-vmlinux.ts';
import { readObject } from '../src/object/index.ts';
import { forgetVerdicts } from '../src/runtime/admission.ts';
import { Allocator } from '../src/runtime/allocators/allocator.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { verify } from '../src/verifier/verify.ts';
import { mutations } from './ownership-mutations.mjs';

declare global {
  // What the patched lines ask; the rule that is off, by number.
  var ownershipRuleOff: number;
}

const vmlinux = vmlinuxBtf();
const spec = readObject(readFileSync(process.argv[2]!), 'ownership-mistakes.bpf.o');
/** Bytes that differ from run to run in what they make a program do. */
const lengths = [60, 61, 60];

/** What stopped the program, or what was left of its objects; undefined: nothing was wrong. */
async function harm(name: string, engine: 'interpreter' | 'jit', runs = lengths.length): Promise<string | undefined> {
  const runtime = new Runtime({ seed: 1n });
  forgetVerdicts();
  const loaded = await load(spec, { runtime, engine, programs: [name], kernelTypes: async () => vmlinux });
  const faultOf = (error: unknown) =>
    error instanceof SluiceError
      ? `${error.code}: ${error.message}`
      : `${(error as Error).name}: ${(error as Error).message}`;
  let found: string | undefined;
  try {
    for (const length of lengths.slice(0, runs))
      loaded.programs[name]!.run({ data: new Uint8Array(length).fill(0x5a) });
  } catch (error) {
    if (error instanceof UnsupportedError) throw error;
    found = faultOf(error);
  }
  try {
    loaded.close();
  } catch (error) {
    found ??= faultOf(error);
  }
  const { live } = Allocator.global(runtime).stats();
  return found ?? (live === 0 ? undefined : `leak: ${live} objects are left`);
}

for (const [number, { rule, programs, runs }] of mutations.entries())
  for (const name of programs) {
    const judge = (off: number) => {
      globalThis.ownershipRuleOff = off;
      const program = spec.programs.get(name)!;
      return verify({ program, maps: spec.maps, license: spec.license, btf: spec.btf }, { vmlinux });
    };
    const before = judge(-1);
    const after = judge(number);
    const caught: Record<string, string> = {};
    if (after.verdict === 'accept')
      for (const engine of ['interpreter', 'jit'] as const)
        try {
          caught[engine] = (await harm(name, engine, runs)) ?? '';
        } catch (error) {
          caught[engine] =
            error instanceof UnsupportedError ? `unsupported: ${error.message}` : `error: ${(error as Error).message}`;
        }
    console.log(
      JSON.stringify({
        rule,
        name,
        before: before.verdict,
        problem: before.diagnostics[0]?.problem,
        after: after.verdict,
        why: after.diagnostics[0]?.problem,
        caught,
      }),
    );
  }
