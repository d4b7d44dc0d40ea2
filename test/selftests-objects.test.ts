// Two selftests of Linux about objects are tracing programs, which are attached to nothing here: they look at nothing of what they would be attached to, and run as programs of tc.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileSelftests, selftestsRefusal } from '../scripts/selftests.mjs';
import { changeObject, type LoadedObject, load, Runtime, readObject } from '../src/index.ts';
import type { ObjectSpec } from '../src/object/spec.ts';
import { readStats } from '../src/runtime/allocators/stats.ts';

const missing = selftestsRefusal();
const PID = 4711;
const task = { pid: PID, tgid: PID };
const engines = ['jit', 'interpreter'] as const;

describe.skipIf(missing !== undefined)(
  `selftests of objects in tracing programs${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const specs = new Map<string, ObjectSpec>();
    beforeAll(async () => {
      const { objects, built } = await compileSelftests(['percpu_alloc_array', 'test_bpf_ma']);
      for (const file of built) specs.set(file, readObject(readFileSync(join(objects, file)), file));
    }, 100_000);

    const asTc = (spec: ObjectSpec, names: readonly string[]) =>
      changeObject(spec, { types: Object.fromEntries(names.map((name) => [name, 'tc'])) });
    const globals = (object: LoadedObject) => object.maps['.bss']!.get(0) as Readonly<Record<string, unknown>>;
    const run = (object: LoadedObject, name: string) =>
      expect(object.programs[name]!.run({ data: new Uint8Array(64) }).returnValue).toBe(0);

    it.each(engines)(
      'percpu_alloc_array: per-CPU objects stashed, written, added up and freed (%s)',
      async (engine) => {
        const names = [1, 2, 3, 4].map((n) => `test_array_map_${n}`);
        const spec = changeObject(asTc(specs.get('percpu_alloc_array.bpf.o')!, names), {
          variables: { nr_cpus: 2, my_pid: PID },
        });
        const runtime = new Runtime({ cpus: 2, task });
        const object = await load(spec, { runtime, engine, programs: names });
        const live = () => readStats(runtime.plane, runtime.plane.exports.allocator_global()).live;
        const before = live();
        for (const name of names.slice(0, 3)) run(object, name);
        // What prog_tests/percpu_alloc.c expects.
        expect(globals(object)).toMatchObject({ cpu0_field_d: 2, sum_field_c: 1 });
        expect(live()).toBeGreaterThan(before);
        run(object, names[3]!);
        object.close();
      },
    );

    const pairs = [
      'test_batch_alloc_free',
      'test_free_through_map_free',
      'test_batch_percpu_alloc_free',
      'test_percpu_free_through_map_free',
    ];
    it.each(engines)('test_bpf_ma: batches of every size, kept in maps and freed with them (%s)', async (engine) => {
      const spec = specs.get('test_bpf_ma.bpf.o')!;
      const ids = (prefix: string, sizes: readonly number[]) => {
        const list = sizes.map((size) => spec.btf!.find(`${prefix}_${size}`, 'struct') ?? 0);
        expect(Math.min(...list)).toBeGreaterThan(0);
        return list;
      };
      const variables = {
        pid: PID,
        data_btf_ids: ids('bin_data', [16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096]),
        percpu_data_btf_ids: [...ids('percpu_bin_data', [8, 16, 32, 64, 96, 128, 192, 256, 512]), 0, 0],
      };
      for (const name of pairs) {
        const object = await load(changeObject(asTc(spec, [name]), { variables }), {
          runtime: new Runtime({ cpus: 2, task }),
          engine,
          programs: [name],
        });
        run(object, name);
        expect(globals(object)).toMatchObject({ err: 0, pid: PID });
        // It did something: objects of eleven sizes (nine of per-CPU ones) leave slabs behind.
        const { runtime } = object;
        const { classes } = readStats(runtime.plane, runtime.plane.exports.allocator_global());
        expect(classes.filter(({ slabs }) => slabs > 0).length).toBeGreaterThan(8);
        object.close();
      }
    });
  },
);
