/**
 * The guards of freed memory have teeth: a plane without one of them breaks a promise (plane-scenarios.ts). Their table is the second part of
 * docs/ownership-mutants.md.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { PLANE_DATA, ROOT } from '../src/plane/layout/memory.ts';
import { createMemory } from '../src/runtime/memory.ts';
import { createPlane, planeModule } from '../src/runtime/plane.ts';
import { withTempFolder } from './clang.ts';
import { mutantsPage, PLANE_PART } from './mutants-page.ts';
import { planeMutations } from './plane-mutations.ts';
import { type MakePlanes, planeScenarios } from './plane-scenarios.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** A word of the root that nothing else uses: number of the guard that is off, from 1 on. */
const SWITCH = ROOT + 4088;

/** The plane with the switches, without optimisation, which takes most of the time of a build. */
function build(folder: string): WebAssembly.Module {
  for (const part of ['assembly', 'layout'])
    cpSync(join(root, 'src/plane', part), join(folder, part), { recursive: true });
  const texts = new Map<string, string>();
  for (const [i, { patches }] of planeMutations.entries()) {
    for (const [file, from, to] of patches) {
      const text = texts.get(file) ?? readFileSync(join(folder, 'assembly/slab', file), 'utf8');
      if (text.split(from).length !== 2) throw new Error(`a place does not stand in ${file} once: ${from}`);
      texts.set(
        file,
        text.replace(from, () => to.replaceAll('OFF', `(load<u32>(${SWITCH}) == ${i + 1})`)),
      );
    }
  }
  for (const [file, text] of texts) writeFileSync(join(folder, 'assembly/slab', file), text);
  const wasm = join(folder, 'plane.wasm');
  const options = ['-O0', '--runtime', 'stub', '--noAssert', '--importMemory', '--importTable', '--sharedMemory'];
  const features = ['--enable', 'threads,bulk-memory,simd', '--initialMemory', '64', '--maximumMemory', '65536'];
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules/assemblyscript/bin/asc.js'),
      join(folder, 'assembly/index.ts'),
      ...['-o', wasm, ...options, ...features, '--memoryBase', String(PLANE_DATA), '--use', 'abort='],
    ],
    { encoding: 'utf8', cwd: root },
  );
  if (status !== 0) throw new Error(stderr);
  return new WebAssembly.Module(readFileSync(wasm));
}

/** What the scenarios find, by name. */
function broken(module: WebAssembly.Module, guard: number): ReadonlyMap<string, string> {
  const make: MakePlanes = (cpus) => {
    const memory = createMemory(cpus, 1n);
    const planes = Array.from({ length: cpus }, (_, cpu) => createPlane(memory, { cpu, module }));
    planes[0]!.view().setUint32(SWITCH, guard, true);
    return planes;
  };
  const found = new Map<string, string>();
  for (const { name, run } of planeScenarios) {
    try {
      run(make);
    } catch (error) {
      found.set(name, (error as Error).message.split('\n')[0]!);
    }
  }
  return found;
}

describe('memory that was freed', () => {
  it.each(planeScenarios)('is guarded: $name', ({ run }) => {
    run((cpus) => {
      const memory = createMemory(cpus, 1n);
      return Array.from({ length: cpus }, (_, cpu) => createPlane(memory, { cpu, module: planeModule() }));
    });
  });
});

describe('mutants of the plane', () => {
  let mutants: readonly ReadonlyMap<string, string>[] = [];

  beforeAll(() => {
    const module = withTempFolder(build);
    mutants = [0, ...planeMutations.map((_, i) => i + 1)].map((guard) => broken(module, guard));
    if (process.env['SLUICE_WRITE'] !== undefined) mutantsPage.write(PLANE_PART, table());
  }, 120_000);

  function table(): string {
    const rows = planeMutations.map(({ guard }, i) => {
      const [name, message] = [...mutants[i + 1]!][0] ?? ['nothing', ''];
      return `| ${guard} | ${name} | ${message} | ${mutants[i + 1]!.size} |`;
    });
    return [
      PLANE_PART,
      '',
      'For each guard of the plane about memory that was freed (`src/plane/assembly/slab/`), the first of the scenarios (`test/plane-scenarios.ts`) that fails once it is switched',
      'off, what that says, and how many fail. Written by `test/plane-mutants.test.ts` (`SLUICE_WRITE=1`).',
      '',
      '| guard | caught by | which says | scenarios |',
      '| --- | --- | --- | --- |',
      ...rows,
      '',
    ].join('\n');
  }

  it('with all guards on keep what is promised', () => expect([...mutants[0]!]).toEqual([]));

  it.each(planeMutations.map(({ guard }, i) => [guard, i + 1] as const))('without: %s', (_, i) =>
    expect(mutants[i]!.size).toBeGreaterThan(0),
  );

  it('the page says so', () => expect(mutantsPage.read(PLANE_PART)).toBe(table()));
});
