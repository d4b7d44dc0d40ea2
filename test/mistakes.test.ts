// What verify says of typical mistakes: the whole text, and an input on which each really fails.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeDiagnostic } from '../src/cli/verdict.ts';
import { describeWitness } from '../src/cli/witness.ts';
import { hooksInForce } from '../src/index.ts';
import { readObject } from '../src/object/index.ts';
import { explained } from '../src/verifier/explanation/explanation.ts';
import { verify } from '../src/verifier/verify.ts';
import { findWitness } from '../src/witness/find.ts';
import { clangs, compileBpf } from './clang.ts';

// Other versions make other instructions of the same source.
const clang = clangs.find((name) => name === 'clang-22');
const root = join(import.meta.dirname, '..');

describe.skipIf(clang === undefined)(`mistakes${clang === undefined ? ' (skipped: no clang-22)' : ''}`, () => {
  const read = () => {
    const source = readFileSync(join(root, 'test/mistakes/mistakes.bpf.c'), 'utf8');
    const flags = ['-I', join(root, 'bpf/include'), '-Wno-everything'];
    return readObject(compileBpf(source, { ...(clang === undefined ? {} : { clang }), flags }), 'mistakes.bpf.o');
  };

  const refusals = (object: ReturnType<typeof read>) =>
    [...object.programs.values()].map((program) => {
      const input = { program, maps: object.maps, license: object.license, btf: object.btf };
      const { verdict, diagnostics, stats } = verify(input);
      expect([program.name, verdict]).toEqual([program.name, 'reject']);
      return { program, diagnostic: explained(input, diagnostics[0]!, stats.insns) };
    });

  it('are explained: category, bounds, causal path, suggestion', async () => {
    const found = refusals(read());
    for (const { diagnostic } of found) expect(diagnostic.suggestion).toBeDefined();
    const text = found.map(({ program, diagnostic }) => [program.name, ...describeDiagnostic(diagnostic, program), '']);
    // Where the object was compiled is another folder each time.
    const lines = text.flat().map((line) => line.replace(/\/\S*\/prog\.bpf\.c/, 'mistakes.bpf.c'));
    await expect(lines.join('\n')).toMatchFileSnapshot('mistakes/mistakes.txt');
  });

  it('fail on inputs that are found: packets, context, values of maps', async () => {
    const object = read();
    const results: Record<string, string> = {};
    for (const { program, diagnostic } of refusals(object)) {
      const result = await findWitness(object, program, diagnostic, { hooks: hooksInForce(), milliseconds: 1500 });
      results[program.name] =
        result.kind !== 'found'
          ? result.kind
          : result.witness.end.kind === 'fault'
            ? result.witness.end.code.replace('SLUICE_FAULT_', '')
            : `returns ${result.witness.end.r0}`;
      const said = describeWitness({ object, program, diagnostic, result }).join('\n');
      expect(said).toMatch(/^ {2}Witness: (found in|none found in|none can be searched for)/);
    }
    expect(results).toEqual({
      no_null_test: 'NULL_POINTER',
      // No packet is shorter than an Ethernet header: the byte is always there.
      no_packet_bound: 'not-found',
      packet_off_by_one: 'OUT_OF_BOUNDS',
      index_off_by_one: 'OUT_OF_BOUNDS',
      signed_index: 'OUT_OF_BOUNDS',
      stack_past_end: 'OUT_OF_BOUNDS',
      leaked_record: 'UNRELEASED_REFERENCE',
      lock_held: 'impossible',
      endless_loop: 'BUDGET',
      context_out_of_bounds: 'CONTEXT_ACCESS',
      context_written: 'CONTEXT_ACCESS',
      wrong_helper: 'impossible',
      packet_helper_len: 'ARGUMENT_SIZE',
      stale_packet: 'STALE_PACKET',
      too_complex: 'impossible',
      pointer_math: 'impossible',
      cgroup_return: 'returns 20',
      double_submit: 'RELEASED_MEMORY',
    });
  });
});
