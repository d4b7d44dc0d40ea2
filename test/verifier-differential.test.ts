// The verifier against the kernel of the machine: random near-valid programs, and the objects of bpf/. Laxer is a failure.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { ownKfuncs } from '../src/abi/own-kfuncs.ts';
import { UnsupportedError } from '../src/errors.ts';
import { createMap } from '../src/linux/bpf-maps.ts';
import { possibleCpus } from '../src/linux/cpus.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { close } from '../src/linux/ffi.ts';
import { loadLinux } from '../src/linux/load.ts';
import { loadRaw } from '../src/linux/programs.ts';
import { readObject } from '../src/object/index.ts';
import type { ProgramSpec } from '../src/object/spec.ts';
import { verify } from '../src/verifier/verify.ts';
import { arrayMap, hashMap, randomMaps, randomProgram, specOf } from './verifier-programs.ts';

const refusal = bpfRefusal();
const cpus = possibleCpus();
const seed = Number(process.env['SLUICE_SEED'] ?? 1);
const count = Number(process.env['SLUICE_RUNS'] ?? 40);

describe.skipIf(refusal !== undefined)(
  `against the kernel${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  () => {
    const fds = new Map<string, number>();
    afterAll(() => {
      for (const fd of fds.values()) close(fd);
    });

    it(
      `${count} random programs from seed ${seed}: never laxer, seldom stricter`,
      () => {
        for (const map of [arrayMap, hashMap])
          fds.set(
            map.name,
            createMap({
              name: map.name,
              type: map.type,
              keySize: map.keySize,
              valueSize: map.valueSize,
              maxEntries: map.maxEntries,
            }),
          );
        let accepted = 0;
        const stricter: string[] = [];
        const laxer: string[] = [];
        for (let i = 0; i < count; i++) {
          const program = randomProgram(seed * 1_000_003 + i);
          const ours = verify({ program: specOf(program), maps: randomMaps, license: 'GPL', btf: undefined }, { cpus });
          const insns = program.insns.slice();
          for (const [slot, map] of program.mapsAt) insns[slot] = { ...insns[slot]!, src: 1, imm: fds.get(map.name)! };
          let linux = 'accept';
          let log = '';
          try {
            loadRaw(insns, program.type).close();
            accepted++;
          } catch (error) {
            linux = 'reject';
            log = (error as { log?: string }).log ?? String(error);
          }
          if (ours.verdict === linux) continue;
          const text = `program ${seed * 1_000_003 + i}: ours ${ours.verdict} ${ours.diagnostics[0]?.slot}: ${ours.diagnostics[0]?.problem}; Linux ${linux}: ${log.trim().split('\n').slice(-4).join(' | ')}`;
          (linux === 'accept' ? stricter : laxer).push(text);
        }
        if (process.env['SLUICE_LIST'] !== undefined) console.log(`accepted ${accepted}\n${stricter.join('\n')}`);
        expect(laxer).toEqual([]);
        expect(accepted).toBeGreaterThan(count / 10);
        expect(stricter.length, stricter.slice(0, 5).join('\n')).toBeLessThan(count / 100);
      },
      60_000 + count * 200,
    );

    const objects = fileURLToPath(new URL('../bpf/objects/', import.meta.url));
    for (const file of readdirSync(objects, { recursive: true }) as string[]) {
      // No kernel here has the program types and structs of rings; test/ring-headers.test.ts loads those objects. 6.18 refuses the third list in a row (docs/ownership-mutants.md).
      if (!file.endsWith('.o') || file.startsWith('ring/') || file === 'mem/nested.bpf.o') continue;
      it(`${file}: as the kernel says`, () => {
        const spec = readObject(readFileSync(objects + file), file);
        for (const program of spec.programs.values()) {
          if (program.coreRelocations.length > 0 || isBeyondLinux(program)) continue;
          // Loaded for no device: it may not ask for one's metadata.
          const given = { program, maps: spec.maps, license: spec.license, btf: spec.btf };
          const ours = verify(given, { deviceBound: false });
          let linux = 'accept';
          try {
            loadLinux(spec, { programs: [program.name] }).close();
          } catch (error) {
            // Maps that are allocators.
            if (error instanceof UnsupportedError) continue;
            linux = 'reject';
          }
          if (ours.verdict === 'unsupported') continue;
          const said = ours.verdict === linux ? '' : `${ours.diagnostics[0]?.slot} ${ours.diagnostics[0]?.problem}`;
          expect([program.name, ours.verdict, said]).toEqual([program.name, linux, '']);
        }
      });
    }
  },
);

/** It calls what this kernel does not have. */
function isBeyondLinux({ references }: ProgramSpec): boolean {
  return [...references.values()].some((each) => each.kind === 'kfunc' && ownKfuncs.has(each.name));
}
